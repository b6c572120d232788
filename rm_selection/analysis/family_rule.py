"""The study's family rule: bases of one family trained on the same tokens share the scores of the largest of them.

What a presence score traces is the training data, which such bases have in common ("A Systematic Analysis of Base Model
Choice for Reward Modeling", EMNLP 2025).
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

KEYS = ("family", "tokens_t")


def shared(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """`frame` with `columns` replaced, within a family and number of tokens, by those of its largest member.

    Column by column, the largest is the one with most params_b among those that were measured. Where several are the
    largest (stages of one base, say), each keeps its own figure and the smaller ones take their mean. Rows whose tokens
    or size are unknown keep what they have, and nobody takes theirs.

    Args:
        frame: a row a checkpoint, with family, params_b (billions) and tokens_t (trillions).
        columns: numeric, to be shared.
    """
    result = frame.copy()
    known = frame["tokens_t"].notna() & frame["params_b"].notna()
    for _, members in frame[known].groupby(list(KEYS)):
        for column in columns:
            measured = members[members[column].notna()]
            if measured.empty:
                continue
            largest = measured["params_b"].max()
            smaller = members.index[members["params_b"] < largest]
            result.loc[smaller, column] = measured.loc[measured["params_b"] == largest, column].mean()
    return result
