"""How much the base matters: the best base of a study against its worst, and how far seeds move one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rm_selection.analysis.measurement import normal_interval


def span(frames: Mapping[str, pd.DataFrame], draws: int = 20_000, seed: int = 0) -> pd.DataFrame:
    """One row an objective.

    The best and the worst are partly the luckiest and the unluckiest: `span_shrunk` takes out what picking them adds,
    as the parametric bootstrap sees it (scores drawn anew around the observed ones, the mean excess subtracted).

    Args:
        frames: one row a checkpoint: model, score, error (points), seed_sd (points, over a checkpoint's seeds).
        draws: parametric draws behind `span_shrunk`.
        seed: seed of those draws.

    Returns:
        objective, n, best_base, best_score, worst_base, worst_score, span_points, low, high (90%, two models named in
        advance), span_shrunk, seed_sd (pooled over checkpoints; missing without repeats).
    """
    return pd.DataFrame([{"objective": name} | _row(frame, draws, seed) for name, frame in frames.items()])


def _row(frame: pd.DataFrame, draws: int, seed: int) -> dict[str, object]:
    score, error = frame["score"].to_numpy(float), frame["error"].to_numpy(float)
    best, worst = int(score.argmax()), int(score.argmin())
    points = float(score[best] - score[worst])
    low, high = normal_interval(points, float(np.hypot(error[best], error[worst])))
    return {
        "n": len(frame),
        "best_base": frame["model"].iloc[best],
        "best_score": score[best],
        "worst_base": frame["model"].iloc[worst],
        "worst_score": score[worst],
        "span_points": points,
        "low": low,
        "high": high,
        "span_shrunk": points - _luck(score, error, draws, seed),
        "seed_sd": float(np.sqrt((frame["seed_sd"] ** 2).mean())),
    }


def _luck(score: np.ndarray, error: np.ndarray, draws: int, seed: int) -> float:
    """What picking the extremes adds to their distance, points."""
    noise = np.random.default_rng(seed).standard_normal((draws, len(score))) * error
    drawn, rows = noise + score, np.arange(draws)
    return float((noise[rows, drawn.argmax(axis=1)] - noise[rows, drawn.argmin(axis=1)]).mean())
