"""Print the figures this project promises on published results, and the times its commands take.

make bench        (five runs of each quick command, one of regress; wall seconds of whole processes)
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pandas as pd

from rm_selection import console, runs, sweeps
from rm_selection.analysis.gains import SIZE_GROUPS

RUNS = 5
SHOWN = 4  # words of a command
AIMS = {"mae": "at most 3.6", "spearman": "at least 0.80", "coverage_5_10": "at least 0.65"}
BUDGET = (
    *("budget_gpu_hours=40", "dry_run=true", "device=h100", "dataset=ultrafeedback", "training=lora"),
    "hardware.precision=bf16_weights",  # all published bases fit
)
BASELINES = ("balanced_ridge", "size", "size_tokens", "best_benchmark")


def wall(arguments: list[str], runs: int) -> list[float]:
    """Wall seconds of each run of `python -m rm_selection.<arguments>`."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        command = [sys.executable, "-m", f"rm_selection.{arguments[0]}", *arguments[1:]]
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    return seconds


def times(output: str) -> pd.DataFrame:
    """Median and range of each command's time beside its limit."""
    commands = [
        (["regress", f"output={output}"], 1, "60 s"),
        (["recommend", f"output={output}", "max_params_b=9"], RUNS, "2 s"),
        (["recommend", f"output={output}", *BUDGET], RUNS, "3 s"),
        (["report", f"output={output}"], RUNS, "-"),
        (["status", f"output={output}", "study=thousand"], RUNS, "1 s"),
        *((([name, "--help"], RUNS, "1.5 s")) for name in ("regress", "recommend", "report")),
    ]
    rows = []
    for arguments, times_run, limit in commands:
        seconds = wall(arguments, times_run)
        named = [word for word in arguments if not word.startswith("output=")]
        name = " ".join(named[:SHOWN]) + " ..." * (len(named) > SHOWN)
        spread = f"{min(seconds):.2f}-{max(seconds):.2f}"
        rows.append((name, f"{statistics.median(seconds):.2f}", spread, str(times_run), limit))
    return pd.DataFrame(rows, columns=["command", "median s", "range s", "runs", "limit"])


@contextmanager
def thousand(output: Path) -> Iterator[None]:
    """A study of 1,000 cells, records as long as the study's own: 780 done, 100 failed, 20 running, 100 waiting."""
    study = output / "thousand"
    names = [f"base{n // 20}@instruct__helpsteer2__regression__s{n % 20}-0123abcd" for n in range(1000)]
    for n, name in enumerate(names[:880]):
        runs.write_record(study / "runs" / name, record(name, n))
    with ExitStack() as alive:
        alive.enter_context(sweeps.kept())
        for name in names[880:900]:
            alive.enter_context(runs.locked(study / "runs" / name))
        sweeps.write(study, "train", ["base=..."], {f"runs/{name}": 1 + n / 20 for n, name in enumerate(names)})
        for n in range(780, 880):  # failed in this sweep, not before it
            (study / "runs" / names[n] / "run.json").touch()
        yield


def record(name: str, n: int) -> runs.Record:
    """A record with ten rates of 32 evaluations and the 23 subsets of RewardBench, finished or failed."""
    if n >= 780:
        return {"status": "failed", "run_id": name, "reason": "loss is nan at step 7", "settings": {}}
    evaluations = [{"step": 20 * (k + 1), "validation_loss": 0.123456789 * k} for k in range(32)]
    trials = [{"rate": (k + 1) * 1e-7, "tokens": 10**6, "evaluations": evaluations} for k in range(10)]
    subsets = {f"subset-{k}": 50 + 1.23456789 * k for k in range(23)}
    intervals = {f"subsets.{key}": [value - 1.2345678, value + 1.2345678] for key, value in subsets.items()}
    found = {"score": 70 + n / 100, "subsets": subsets, "intervals": intervals, "n": 2985, "ties": 0}
    return {
        "status": "finished",
        "run_id": name,
        "settings": {"objective": {"name": "regression"}},
        "checkpoint": {"base": name.partition("@")[0], "params_b": 1 + n / 20},
        "training": {"trials": trials},
        "scores": {"rewardbench": found},
        "cost": {"device": "cpu", "seconds": 3600.0 + n},
    }


def figures(tables: Path) -> pd.DataFrame:
    """The promised figures of the regression objective on unseen families, predictors side by side."""
    table = pd.read_parquet(tables / "predictor.parquet")
    kept = (table["objective"] == "regression") & (table["validation"] == "leave_family_out")
    rows = table[kept].set_index("predictor").loc[list(BASELINES)]
    shown = {"figure": list(AIMS), "aim": list(AIMS.values())}
    for name, row in rows.iterrows():
        shown[str(name)] = [f"{row[f]:.2f} [{row[f'{f}_low']:.2f}, {row[f'{f}_high']:.2f}]" for f in AIMS]
    return pd.DataFrame(shown)


def by_size(tables: Path) -> Iterator[str]:
    """What the choice of each size group loses, its family unseen, in a sentence each."""
    table = pd.read_parquet(tables / "predictions.parquet").query(
        "objective == 'regression' and predictor == 'balanced_ridge' and validation == 'leave_family_out'"
    )
    table = table.merge(pd.read_parquet(tables / "models.parquet")[["model", "params_b"]], on="model")
    for size, low, high in SIZE_GROUPS:
        group = table[(table["params_b"] >= low) & (table["params_b"] < high)]
        chosen, best = (group.sort_values(name, ascending=False).iloc[0] for name in ("predicted", "actual"))
        lost = best["actual"] - chosen["actual"]
        yield f"{size}: {chosen['model']}, {lost:.1f} points behind {best['model']}, best of {len(group)} (aim 2.5)"


def main() -> None:
    with tempfile.TemporaryDirectory() as output, thousand(Path(output)):
        measured = times(output)
        tables = Path(output) / "published" / "tables"
        console.table("Times, wall seconds of whole processes", measured)
        console.table("Regression objective, families the predictor had not seen", figures(tables))
        gains = pd.read_parquet(tables / "gains.parquet").drop_duplicates(["objective", "size_group"])["gain_points"]
        console.line(f"gains over the newest Llama-3.x default: {gains.min():+.1f} to {gains.max():+.1f} points")
        for sentence in by_size(tables):
            console.line(f"chosen out of family, {sentence}")
        for row in pd.read_parquet(tables / "intervals.parquet").itertuples():
            wilson = f"[{row.coverage_low:.0%}, {row.coverage_high:.0%}]"
            console.line(f"90% intervals, {row.objective}: held {row.coverage:.0%} {wilson} of unseen families' models")


if __name__ == "__main__":
    main()
