"""A small study of one's own with all that a report can show: tables, figures, records and training logs."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from made_study import trained, write
from page_tables import MODELS, study

from rm_selection import plots, studies

FACTS = {"base": "base", "stage": "pretrained", "family": "qwen", "params_b": 9.0, "tokens_t": 1.0, "licence": "mit"}


def own_study(folder: Path, models: list[str] = MODELS) -> Path:
    """Write it; its first two checkpoints have two seeds each, and the log of each run forty steps."""
    rows = [_trained(folder, model, place, seed) for place, model in enumerate(models[:2]) for seed in (1, 2)]
    tables = study(models) | {"runs": pd.DataFrame(rows)}
    (folder / "tables").mkdir(parents=True)
    for name, frame in tables.items():
        studies.write_table(folder / "tables", name, frame)
    plots.save(plots.figures(tables), folder / "figures")
    return folder


def _trained(folder: Path, model: str, place: int, seed: int) -> dict[str, object]:
    record = trained(place, "regression", seed, 70.0 + place + seed)
    record["checkpoint"] |= {"name": model}
    record["scores"]["held_out"] |= {"length_baseline": 52.5, "units": 400}
    found = [{"step": step, "validation_loss": 1 / step} for step in (20, 40)]
    trials = [{"rate": rate, "metric": "validation_loss", "evaluations": found} for rate in (1e-5, 5e-6)]
    trials += [{"rate": 1e-2, "diverged": "loss is nan at step 3", "metric": "validation_loss", "evaluations": []}]
    record["training"] = {"rate": 5e-6, "best_step": 40, "metric": "validation_loss", "value": 0.025, "trials": trials}
    write(folder, record)
    log = "".join(json.dumps({"step": step, "loss": 2 / step}) + "\n" for step in range(1, 41))
    (folder / "runs" / record["run_id"] / "log.jsonl").write_text(log)
    about = {"model": model, "run_id": record["run_id"], "objective": "regression", "evaluation": "held_out"}
    figures = {"seed": seed, "score": record["scores"]["held_out"]["score"], "low": 70.0, "high": 76.0, "seconds": 10.0}
    return about | FACTS | figures
