"""The study's claims, asked of a study of one's own, and those that it could not ask: what a probe adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from rm_selection.analysis.measured_frame import AVERAGE
from rm_selection.columns import label

Tables = Mapping[str, pd.DataFrame]
Found = tuple[str, str, str]  # found, reproduced (yes, partly, no, not testable), why
NEW = "not in the study"
UNSEEN = "leave_family_out"


def claims(tables: Tables) -> pd.DataFrame:
    """One row a claim: claim, statement, claimed, found, reproduced, why.

    Args:
        tables: of `analysis.measured`; a claim whose tables are missing is not testable.
    """
    rows = [
        ("C1", "The base decides how good the reward model is", "3.1 to 14.3 points, best against default", _span),
        ("C2", "Benchmarks correlate with reward-model score", "about 0.8 for the best", _benchmarks),
        ("C3", "A single benchmark finds few of the top models", "some reach 0.4 at 5 and 0.7 at 10", _single),
        ("C4", "An elastic net finds more of them", "+18% coverage at 5-10, in sample", _elastic_net),
        ("C5", "SFT helps, alignment after it hurts", "+15.5%, then 3 to 5% lost", _stages),
        ("C6", "Presence scores lower the error", "mean absolute error 3.2 to 1.7", _presence),
        ("C7", "Regression beats Bradley-Terry", "37 of 40, by 13.1 points on average", _objectives),
        ("C8", "The benchmarks have few dimensions", "5 components explain 96.8%", _factors),
        ("P1", "A training-free probe ranks the bases", NEW, _probe),
        ("P2", "Benchmarks with the probe predict better than either", NEW, _together),
        ("P3", "The probe costs little of one training", NEW, _cost),
    ]
    records = [(claim, statement, claimed, *ask(tables)) for claim, statement, claimed, ask in rows]
    return pd.DataFrame(records, columns=["claim", "statement", "claimed", "found", "reproduced", "why"])


def _missing(why: str) -> Found:
    return "nothing to test", "not testable", why


def _span(tables: Tables) -> Found:
    row = tables["span"].iloc[-1]
    found = (
        f"{row['span_points']:.1f} [{row['low']:.1f}, {row['high']:.1f}] points from {row['worst_base']} to "
        f"{row['best_base']}"
    )
    luck = row["span_points"] - row["span_shrunk"]
    why = f"{label(row['objective'])}; picking the extremes adds {luck:.1f} points to it, seeds move a base by "
    why += "an unknown amount" if np.isnan(row["seed_sd"]) else f"{row['seed_sd']:.1f}"
    return found, "yes" if row["low"] > 3.1 else "partly" if row["low"] > 0 else "no", why


def _strengths(tables: Tables, start: str) -> pd.DataFrame:
    """Correlations with the overall score of features that begin so, strongest first; of the last objective."""
    table = tables.get("correlation", pd.DataFrame(columns=["objective", "target", "feature", "spearman"]))
    kept = (table["target"] == "score") & table["feature"].str.startswith(start)
    table = table[kept & (table["objective"] == table["objective"].iloc[-1])] if len(table) else table
    return table.dropna(subset=["spearman"]).sort_values("spearman", ascending=False)


def _spearman(row: Mapping[Any, Any]) -> str:
    return f"{row['feature']} {row['spearman']:.2f} [{row['spearman_low']:.2f}, {row['spearman_high']:.2f}]"


def _benchmarks(tables: Tables) -> Found:
    found = _strengths(tables, "benchmarks.")
    if found.empty:
        return _missing("no benchmark was measured, or of too few checkpoints")
    told = found.iloc[:1]
    if AVERAGE not in set(told["feature"]):
        told = pd.concat([told, found[found["feature"] == AVERAGE]])
    strong = found["spearman"].iloc[0]
    why = f"{label(found['objective'].iloc[0])}, {found['n'].iloc[0]:.0f} checkpoints; families as units"
    return (
        "; ".join(map(_spearman, told.to_dict("records"))),
        "yes" if strong >= 0.75 else "partly" if strong >= 0.5 else "no",
        why,
    )


def _single(tables: Tables) -> Found:
    table = tables.get("coverage")
    if table is None or not (
        benchmarks := [name for name in table["predictor"].unique() if name.startswith("benchmarks.")]
    ):
        return _missing("needs benchmarks of ten checkpoints")
    own = table[(table["validation"] == "in_sample") & table["predictor"].isin(benchmarks)]
    kept = own["objective"] == own["objective"].iloc[0]  # the first objective may have none known of every checkpoint
    wide = own[kept].pivot(index="predictor", columns="k", values="coverage")
    passing = int(((wide[5] >= 0.4) & (wide[10] >= 0.7)).sum())
    share = 10 / own["n"].iloc[0]
    found = f"{passing} of {len(wide)} do; the best reach {wide[5].max():.2f} at 5 and {wide[10].max():.2f} at 10"
    return (
        found,
        "yes" if passing < len(wide) / 2 else "no",
        f"chance reaches {share / 2:.2f} at 5 and {share:.2f} at 10",
    )


def _figure(tables: Tables, predictor: str, validation: str, column: str) -> float:
    table = tables.get("predictor", pd.DataFrame(columns=["predictor", "validation", column]))
    rows = table[(table["predictor"] == predictor) & (table["validation"] == validation)]
    return float(rows[column].mean()) if len(rows) else float("nan")  # over objectives


def _elastic_net(tables: Tables) -> Found:
    inside = [_figure(tables, name, "in_sample", "coverage_5_10") for name in ("elastic_net", "best_benchmark")]
    outside = [_figure(tables, name, UNSEEN, "coverage_5_10") for name in ("elastic_net", "best_benchmark")]
    if np.isnan(inside).any():
        return _missing("needs benchmarks of ten checkpoints of four families")
    found = (
        f"in sample {inside[0]:.2f} against {inside[1]:.2f}; on unseen families {outside[0]:.2f} against "
        f"{outside[1]:.2f}"
    )
    gain = inside[0] - inside[1]
    return found, "yes" if gain >= 0.18 else "partly" if gain > 0 else "no", "mean over objectives"


def _stages(tables: Tables) -> Found:
    stages = sorted(tables["models"]["stage"].unique())
    if len(stages) == 1:
        return _missing(f"every reward model of this study starts from the stage {stages[0]}")
    if "stages" not in tables:
        return _missing("no base has reward models of two stages from one seed")
    table = tables["stages"].query("category == 'score' and stage != 'pretrained'")
    firsts = table[table["stage"].str.endswith("sft")]
    later = table[table["against"].astype(str).str.endswith(("sft", "dpo"))]
    if firsts.empty:
        return _missing("no base has reward models of its sft stage")
    helps, hurts = (firsts["low"] > 0).all(), len(later) > 0 and (later["high"] < 0).all()
    told = [
        f"{label(row['objective'])}: {row['model']} {row['change_points']:+.1f} [{row['low']:.1f}, {row['high']:.1f}]"
        for row in pd.concat([firsts, later]).to_dict("records")
    ]
    verdict = "yes" if helps and hurts else "partly" if helps or hurts else "no"
    return "; ".join(told), verdict, "points; intervals over bases, seeds and pairs; yes where all of them say so"


def _presence(tables: Tables) -> Found:
    names = ("benchmarks", "benchmarks_presence")
    inside = [_figure(tables, name, "in_sample", "mae") for name in names]
    outside = [_figure(tables, name, UNSEEN, "mae") for name in names]
    if np.isnan(inside).any():
        return _missing("needs benchmarks and presence of ten checkpoints of four families")
    found = (
        f"in sample {inside[0]:.1f} to {inside[1]:.1f} points; on unseen families {outside[0]:.1f} to {outside[1]:.1f}"
    )
    verdict = "yes" if outside[1] < outside[0] else "partly" if inside[1] < inside[0] else "no"
    return found, verdict, "mean over objectives; only unseen families tell whether the scores say anything new"


def _objectives(tables: Tables) -> Found:
    if "objectives_summary" not in tables:
        return _missing("this study has runs of one objective")
    row = tables["objectives_summary"].iloc[0]
    found = (
        f"{row['won']:.0f} of {row['n']:.0f}, by {row['mean_difference']:.1f} [{row['low']:.1f}, {row['high']:.1f}] "
        "points"
    )
    return found, "yes" if row["low"] > 0 else "partly" if row["mean_difference"] > 0 else "no", "same bases and seeds"


def _factors(tables: Tables) -> Found:
    if "factors" not in tables:
        return _missing("needs two benchmarks of three checkpoints")
    table = tables["factors"]
    last = min(5, len(table))
    found = f"{last} of {len(table)} explain {table['cumulative'].iloc[last - 1]:.1%}"
    if len(table) <= 5:
        found = f"2 of {len(table)} explain {table['cumulative'].iloc[1]:.1%}"
        return found, "not testable", "fewer benchmarks than the study's five components"
    return found, "yes" if table["cumulative"].iloc[4] >= 0.95 else "no", f"{len(table)} benchmarks"


def _probe(tables: Tables) -> Found:
    found = _strengths(tables, "probe.accuracy")
    if found.empty:
        return _missing("no probe was run, or on too few checkpoints")
    row = found.iloc[0]
    return _spearman(row.to_dict()), "yes" if row["spearman"] >= 0.75 else "no", "yes from 0.75 on"


def _together(tables: Tables) -> Found:
    names = ("benchmarks", "probe", "benchmarks_probe_averaged", "benchmarks_probe")
    errors = [_figure(tables, name, UNSEEN, "mae") for name in names]
    if np.isnan(errors).any():
        return _missing("needs benchmarks and a probe of ten checkpoints of four families")
    found = f"benchmarks {errors[0]:.2f}, probe {errors[1]:.2f}, both {errors[2]:.2f} points on unseen families"
    why = f"mean absolute error, mean over objectives; both: mean of the two, in one fit {errors[3]:.2f}"
    return found, "yes" if errors[2] < min(errors[:2]) else "no", why


def _cost(tables: Tables) -> Found:
    table = tables["costs"].set_index("what")
    if not {"probe", "train"} <= set(table.index):
        return _missing("no probe was run")
    row = table.loc["probe"]
    found = f"{row['seconds']:.2f} s, {row['percent_of_training']:.1f}% of one training"
    return found, "yes" if row["percent_of_training"] < 5 else "no", "medians; yes below 5%"
