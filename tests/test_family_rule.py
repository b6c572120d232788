"""Which member of a family the others take their presence scores from."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rm_selection.analysis.family_rule import shared

COLUMNS = ["presence.arxiv"]


def table(*rows: tuple[str, float, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["family", "params_b", "tokens_t", "presence.arxiv"])


def after(frame: pd.DataFrame) -> list[float]:
    return shared(frame, COLUMNS)["presence.arxiv"].tolist()


def test_members_with_the_same_tokens_share_the_largest_ones_score():
    assert after(table(("qwen", 0.5, 18, -3.0), ("qwen", 7, 18, -2.0), ("qwen", 1.5, 18, -2.5))) == [-2.0] * 3


def test_other_families_and_other_numbers_of_tokens_keep_their_own():
    rows = table(("qwen", 7, 18, -2.0), ("qwen", 1.5, 7, -2.5), ("gemma", 2, 18, -2.8), ("gemma", 9, 8, -2.1))
    assert after(rows) == [-2.0, -2.5, -2.8, -2.1]


def test_the_largest_that_was_measured_counts_and_a_larger_one_stays_missing():
    found = after(table(("yi", 34, 3, np.nan), ("yi", 9, 3, -2.0), ("yi", 6, 3, np.nan)))
    assert np.isnan(found[0])
    assert found[1:] == [-2.0, -2.0]


def test_stages_of_the_largest_keep_their_own_and_the_smaller_take_their_mean():
    assert after(table(("yi", 9, 3, -2.0), ("yi", 9, 3, -3.0), ("yi", 6, 3, -9.0))) == [-2.0, -3.0, -2.5]


def test_unknown_tokens_or_size_leave_a_row_alone():
    rows = table(("phi", 4, np.nan, -3.0), ("phi", 14, np.nan, -2.0), ("phi", np.nan, 5, -1.0), ("phi", 3, 5, -4.0))
    assert after(rows) == [-3.0, -2.0, -1.0, -4.0]


def test_the_table_given_stays_as_it_was():
    frame = table(("qwen", 0.5, 18, -3.0), ("qwen", 7, 18, -2.0))
    before = frame.copy()
    assert shared(frame, COLUMNS) is not frame
    pd.testing.assert_frame_equal(frame, before)


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from([1.0, 2, 3]), st.sampled_from([1.0, 2]), st.floats(-9, 0))
    )
)
def test_sharing_twice_changes_no_more_and_only_the_largest_decide(rows):
    frame = table(*rows)
    once = shared(frame, COLUMNS)
    assert shared(once, COLUMNS)["presence.arxiv"].tolist() == pytest.approx(once["presence.arxiv"].tolist())
    top = frame.groupby(["family", "tokens_t"])["params_b"].transform("max") == frame["params_b"]
    assert once[top].equals(frame[top])
