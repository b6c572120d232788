"""The card of a shared result table: what is in it, how it was made, what its columns mean, and how to use it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

import pandas as pd

from rm_selection.columns import MISSING, is_missing, written
from rm_selection.shared_columns import FRAMES, ROWS

FAILED = 20  # failed rows that the card names; the files hold all
LONGEST = 200  # characters of a cell
HOLDS = {
    "runs": "a row a reward model, failed and skipped ones too",
    "scores": "a row a score: overall, a category, a subset",
    "features": "a row a figure measured on a checkpoint, and one a measurement that failed",
    "stages": "a row a post-training stage that was made",
    "pairs": "a row a scored pair: both rewards",
    "documents": "a row a document that presence was measured on",
}
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~$-])")
_FILE = re.compile(r'^ +data_files: "(\w+\.parquet)"$', re.M)
USE = """## Use it
Train or measure a base of your own, then fit these rows and yours together:

```
python -m rm_selection.regress study=mine 'results=[FOLDER]'
python -m rm_selection.recommend study=mine 'results=[FOLDER]'
```

FOLDER is where this folder lies; `study=mine` may be empty. Runs made in another way than yours are refused, and the
first setting that differs is named. Or open it as it is:

```python
from datasets import load_dataset

runs = load_dataset("FOLDER", "runs", split="train").to_pandas()
```"""


def card(study: str, licence: str, tables: Mapping[str, pd.DataFrame]) -> str:
    """Markdown with the Hub's metadata block; whatever stands in a table cannot become markup.

    Args:
        study: its name.
        licence: of the figures, as the Hub names it.
        tables: what each file holds, by the file's name.
    """
    lines = [*_metadata(study, licence, tables), "", f"# Results of {plain(study)}", ""]
    lines += ["Reward models trained from base models, and what was measured of these, by rm-selection."]
    there = [(f"`{name}.parquet`", len(frame), HOLDS[name]) for name, frame in tables.items()]
    lines += _table(["file", "rows", "what"], there)
    for part in (_trained, _measured, _failed):
        lines += part(tables)
    lines += ["", USE, "", "## Columns", "Scores are 0-100, intervals 90%; what is missing was not measured, never 0."]
    for name in tables:
        lines += ["", f"`{name}.parquet`", *_table(["column", "type", "what"], list(_columns(name)))]
    return "\n".join([*lines, ""])


def files(path: Path) -> list[str]:
    """The files that a card names."""
    return _FILE.findall(path.read_text(encoding="utf-8", errors="replace"))


def plain(value: Any) -> str:
    """A value as one line of Markdown that shows it and is no markup, in a table too."""
    if is_missing(value):
        return MISSING
    text = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return _MARKUP.sub(r"\\\1", html.escape(text, quote=False))


def _metadata(study: str, licence: str, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    lines = ["---", f"license: {json.dumps(licence)}", f"pretty_name: {json.dumps(f'Results of {study}')}"]
    lines += ['tags: ["reward-model", "rm-selection"]', "configs:"]
    for name in tables:
        lines += [f'  - config_name: "{name}"', f'    data_files: "{name}.parquet"']
    return [*lines, "---"]


def _trained(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """How many runs there are of each protocol, and the protocols."""
    done = _finished(tables, "runs")
    if done.empty:
        return []
    rows, protocols = [], []
    for (name, objective), own in done.groupby(["protocol_id", "objective"], sort=True):
        scores = own["score"].dropna()
        told = f"{written(scores.min(), 1)} to {written(scores.max(), 1)}" if len(scores) else MISSING
        makers = (own["base"] + "@" + own["stage"]).nunique()
        rows.append((f"`{name}`", *map(plain, (objective, own["dataset"].iloc[0], makers, len(own), told))))
        protocols += ["", f"Protocol {name}:", "", "```json", own["protocol"].iloc[0], "```"]
    heads = ["protocol", "objective", "data", "checkpoints", "runs", "scores"]
    return ["", "## Runs", *_table(heads, rows), *protocols]


def _measured(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    done = _finished(tables, "features")
    if done.empty:
        return []
    rows = [
        tuple(map(plain, (feature, own["run_id"].nunique(), own["name"].nunique())))
        for feature, own in done.groupby("feature", sort=True)
    ]
    return ["", "## Features", *_table(["feature", "checkpoints measured", "figures"], rows)]


def _failed(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    parts = [tables[name] for name in ("runs", "features") if name in tables]
    lost = pd.concat([part.loc[part["status"] != "finished", ["run_id", "status", "reason"]] for part in parts])
    if lost.empty:
        return []
    rows = [tuple(map(plain, row)) for row in lost.head(FAILED).itertuples(index=False)]
    more = [f"And {len(lost) - FAILED} more."] if len(lost) > FAILED else []
    return ["", "## Failed and skipped", *_table(["record", "status", "reason"], rows), *more]


def _finished(tables: Mapping[str, pd.DataFrame], name: str) -> pd.DataFrame:
    found = tables.get(name, pd.DataFrame(columns=["status"]))
    return found[found["status"] == "finished"]


def _columns(name: str) -> Iterator[tuple[str, str, str]]:
    if name in FRAMES:
        yield from ((f"`{column}`", _typed(kind), text) for column, (kind, text) in FRAMES[name].items())
        return
    hints = get_type_hints(ROWS[name])
    for column, field in ROWS[name].model_fields.items():
        yield f"`{column}`", _typed(hints[column]), str(field.description)


def _typed(hint: Any) -> str:
    shown = str(hint)
    return next((word for kind, word in (("float", "number"), ("int", "whole number")) if kind in shown), "text")


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["", *(f"| {' | '.join(map(str, line))} |" for line in lines)]
