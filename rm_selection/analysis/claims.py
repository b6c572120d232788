"""The study's eight claims, each beside what the shipped figures give: reproduced or not, and why."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from rm_selection.analysis.balanced_ridge import NAME as RECOMMENDED
from rm_selection.table_rows import BENCHMARKS

COMPLETE = 39  # models a benchmark must have to stand beside the study's 40 in claims C2 and C3

Tables = Mapping[str, pd.DataFrame]
Found = tuple[str, str, str]  # found, reproduced (yes, partly, no, not testable), why


def claims(tables: Tables) -> pd.DataFrame:
    """One row a claim: claim, statement, claimed, found, reproduced, why.

    Args:
        tables: gains, correlation, coverage, predictor, stages, objectives, objectives_summary and factors of a study.
    """
    rows = [
        ("C1", "The best base beats the Llama-3.x default of its size group", "3.1 to 14.3 points", _gains(tables)),
        ("C2", "Benchmarks correlate with reward-model score", "about 0.8 for the best", _correlation(tables)),
        ("C3", "A single benchmark finds few of the top models", "some reach 0.4 at 5 and 0.7 at 10", _single(tables)),
        ("C4", "An elastic net finds more of them", "+18% coverage at 5-10, in sample", _elastic_net(tables)),
        ("C5", "SFT helps, alignment after it hurts", "+15.5%, then 3 to 5% lost", _stages(tables)),
        ("C6", "Presence scores lower the error", "mean absolute error 3.2 to 1.7", _presence()),
        ("C7", "Regression beats Bradley-Terry", "37 of 40, by 13.1 points on average", _objectives(tables)),
        ("C8", "The benchmarks have few dimensions", "5 components explain 96.8%", _factors(tables)),
    ]
    records = [(claim, statement, claimed, *found) for claim, statement, claimed, found in rows]
    return pd.DataFrame(records, columns=["claim", "statement", "claimed", "found", "reproduced", "why"])


def _gains(tables: Tables) -> Found:
    newest = tables["gains"].drop_duplicates(["objective", "size_group"])["gain_points"]
    low, high = newest.min(), newest.max()
    same = abs(low - 3.1) < 0.05 and abs(high - 14.3) < 0.05
    why = "same figures; picking the best of a group flatters it by up to half a point (column gain_shrunk)"
    return f"{low:.1f} to {high:.1f} points", "yes" if same else "no", why


def _correlation(tables: Tables) -> Found:
    table = tables["correlation"]
    kept = (table["objective"] == "regression") & (table["target"] == "score") & (table["n"] >= COMPLETE)
    table = table[kept].sort_values("spearman", ascending=False)
    first, second = table.iloc[0], table.iloc[1]
    best = max(table["spearman"].max(), table["pearson"].max())
    why = "complete for six of the study's 33 benchmarks; families as units leave wide intervals"
    return f"{_spearman(first)}; {_spearman(second)}", "yes" if best >= 0.75 else "no", why


def _spearman(row: pd.Series) -> str:
    return f"{row['feature']} {row['spearman']:.2f} [{row['spearman_low']:.2f}, {row['spearman_high']:.2f}]"


def _single(tables: Tables) -> Found:
    table = tables["coverage"]
    kept = (table["objective"] == "regression") & (table["validation"] == "in_sample") & (table["n"] >= COMPLETE)
    wide = table[kept & table["predictor"].isin(BENCHMARKS)].pivot(index="predictor", columns="k", values="coverage")
    passing = wide.index[(wide[5] >= 0.4) & (wide[10] >= 0.7)]
    found = f"{len(passing)} of {len(wide)} do; the best reach {wide[5].max():.2f} at 5 and {wide[10].max():.2f} at 10"
    return found, "yes" if len(passing) < len(wide) / 2 else "no", "six of the 33 benchmarks are public for all models"


def _elastic_net(tables: Tables) -> Found:
    net = _coverage(tables, "elastic_net", "in_sample")
    single = _coverage(tables, "best_benchmark", "in_sample")
    net_out, single_out = (_coverage(tables, name, "leave_family_out") for name in ("elastic_net", "best_benchmark"))
    ours = _coverage(tables, RECOMMENDED, "leave_family_out")
    found = (
        f"in sample {net:.2f} against {single:.2f}; on unseen families {net_out:.2f} against {single_out:.2f} "
        f"({RECOMMENDED} {ours:.2f})"
    )
    why = f"in sample the gain is there; of it {net - net_out:.2f} is lost when families are held out"
    return found, "yes" if net - single >= 0.18 else "partly" if net > single else "no", why


def _coverage(tables: Tables, predictor: str, validation: str) -> float:
    table = tables["predictor"].query("objective == 'regression'")
    row = table[(table["predictor"] == predictor) & (table["validation"] == validation)].iloc[0]
    return float(row["coverage_5_10"])


def _stages(tables: Tables) -> Found:
    table = tables["stages"]
    score = table[table["category"] == "score"].drop_duplicates("stage", keep="last").set_index("stage")["score"]
    change = table[table["category"] == "score"].set_index("stage")["change_percent"]
    dpo, rlvr = (100 * (score[stage] / score["sft"] - 1) for stage in ("dpo", "rlvr"))
    found = f"SFT {change['sft']:+.1f}%, then DPO {dpo:+.1f}% and RLVR {rlvr:+.1f}% of the SFT score"
    same = abs(change["sft"] - 15.5) < 0.05 and all(-5.1 < value < -2.9 for value in (dpo, rlvr))
    return found, "yes" if same else "no", "one base and one run a stage; recipes of different publishers"


def _presence() -> Found:
    return "nothing to test", "not testable", "the presence scores were not published"


def _objectives(tables: Tables) -> Found:
    row = tables["objectives_summary"].iloc[0]
    mean = f"{row['mean_difference']:.1f} [{row['low']:.1f}, {row['high']:.1f}]"
    found = f"{row['won']:.0f} of {row['n']:.0f}, by {mean} points"
    same = row["won"] == 37 and abs(row["mean_difference"] - 13.1) < 0.05
    return found, "yes" if same else "no", "one dataset, rated for one and compared for the other objective"


def _factors(tables: Tables) -> Found:
    table = tables["factors"]
    five, two = table["cumulative"].iloc[4], table["cumulative"].iloc[1]
    found = f"5 of {len(table)} explain {five:.1%}, 2 explain {two:.1%}"
    why = (
        f"{len(table)} leaderboard benchmarks instead of 33, {table['imputed_share'].iloc[0]:.0%} of the cells imputed"
    )
    return found, "yes" if five >= 0.95 else "partly" if five >= 0.9 else "no", why
