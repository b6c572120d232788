"""What the study of the small world came to, figure by figure beside its aim: figures.py FOLDER_OF_THE_STUDY."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from rm_selection import console, studies
from rm_selection.microcosm.recipes import GROUPS, Recipe
from rm_selection.microcosm.world import DOMAINS

SKILLS = {"chat": "books", "chat_hard": "wiki", "safety": "stack", "reasoning": "arxiv"}  # what teaches a category
BOTH = "both"
Record = Mapping[Any, Any]
Row = tuple[str, str, str, bool]  # figure, found, aim, reached


def rows(tables: dict[str, pd.DataFrame]) -> Iterator[Row]:
    """Every figure with a number to reach."""
    span = next(row for row in tables["span"].to_dict("records") if row["objective"] == BOTH)
    found = f"{span['span_points']:.1f} [{span['low']:.1f}, {span['high']:.1f}] points, {span['n']} bases"
    yield "best less worst base, mean of objectives", found, "15 or more", bool(span["span_points"] >= 15)
    yield "standard deviation from seed to seed", f"{span['seed_sd']:.2f} points", "below 2", bool(span["seed_sd"] < 2)
    rows = tables["correlation"].query("objective == @BOTH").to_dict("records")
    strength = {(row["target"], row["feature"]): row for row in rows}
    average = strength["score", "benchmarks.average"]
    yield "Spearman, benchmark average", _spearman(average), "0.7 or more", bool(average["spearman"] >= 0.7)
    yield _own_skill(strength)
    yield _mixtures(tables["features"])
    probe = strength["score", "probe.accuracy"]
    yield "Spearman, probe", _spearman(probe), "0.75 or more", bool(probe["spearman"] >= 0.75)
    for claim, aim in (("P2", "both below either"), ("P3", "below 5%")):
        told = next(row for row in tables["claims"].to_dict("records") if row["claim"] == claim)
        yield told["statement"], told["found"], aim, told["reproduced"] == "yes"


def _spearman(row: Record) -> str:
    return f"{row['spearman']:.2f} [{row['spearman_low']:.2f}, {row['spearman_high']:.2f}]"


def _benchmark(skill: str) -> str:
    return f"benchmarks.micro_{skill}"


def _own_skill(strength: Mapping[tuple[Any, Any], Record]) -> Row:
    """The category whose own benchmark is furthest ahead of the average."""
    ahead = {
        category: strength[category, _benchmark(skill)]["spearman"]
        - strength[category, "benchmarks.average"]["spearman"]
        for category, skill in SKILLS.items()
    }
    best = max(ahead, key=lambda name: float(ahead[name]))
    own, all_ = (strength[best, name] for name in (_benchmark(SKILLS[best]), "benchmarks.average"))
    found = f"{best}: {SKILLS[best]} {_spearman(own)}, average {_spearman(all_)}"
    return "a category its own benchmark predicts better", found, "one or more", bool(ahead[best] > 0)


def _mixtures(features: pd.DataFrame) -> Row:
    """How often the over-weighted domain has the highest score against the even base of the same group."""
    table = {row["base"]: row for row in features.to_dict("records")}
    hits = []
    for group, mixtures in GROUPS.items():
        even = table[Recipe(*group, None).name]
        for over in filter(None, mixtures):
            own = table[Recipe(*group, over).name]
            ahead = {domain: own[f"presence.{domain}"] - even[f"presence.{domain}"] for domain in DOMAINS}
            hits.append(max(ahead, key=ahead.__getitem__) == over)
    low, high = proportion_confint(sum(hits), len(hits), alpha=0.1, method="wilson")
    share = sum(hits) / len(hits)
    found = f"{sum(hits)} of {len(hits)} bases, {share:.0%} [{low:.0%}, {high:.0%}]"
    return "presence names the over-weighted domain", found, "80% or more", share >= 0.8


def main() -> None:
    """Print the figures; what is not reached is said, and is no error."""
    folder = Path(sys.argv[1])
    table = pd.DataFrame(rows(dict(studies.read_tables(folder))), columns=["figure", "found", "aim", "reached"])
    console.table(
        f"{folder.name}: figures with an aim", table.assign(reached=table["reached"].map({True: "yes", False: "no"}))
    )


if __name__ == "__main__":
    main()
