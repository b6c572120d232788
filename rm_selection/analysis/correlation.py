"""How strongly what is known of a base goes with the score of the reward model trained from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import pearsonr, rankdata
from statsmodels.stats.multitest import multipletests

from rm_selection.analysis.measured_frame import MIN_MODELS
from rm_selection.analysis.ranks import weighted_pearson, weighted_spearman
from rm_selection.analysis.resampling import family_weights, percentile_interval
from rm_selection.table_rows import BENCHMARKS

SIZE = "log_params_b"
TRAINING_FACTS = (SIZE, "log_tokens_t")
STATISTICS = (
    *("pearson", "pearson_low", "pearson_high", "spearman", "spearman_low", "spearman_high"),
    *("p_value", "partial_spearman_given_size"),
)

Floats = NDArray[np.float64]


def usable_features(frame: pd.DataFrame) -> list[str]:
    """The benchmarks that at least MIN_MODELS models of `frame` have, then log size and log pre-training tokens."""
    known = frame[list(BENCHMARKS)].notna().sum()
    return [*known.index[known >= MIN_MODELS], *TRAINING_FACTS]


def correlation(
    frame: pd.DataFrame, objective: str, features: Sequence[str], targets: Sequence[str], resamples: int, seed: int
) -> pd.DataFrame:
    """Pearson and Spearman correlation of every feature with every target, with intervals by resampling families.

    Each feature is taken over the models that have it and every target. A correlation that does not exist (a feature
    or a target is constant, fewer than three models) is missing.

    Args:
        frame: one row a model: family, log_params_b, the features and the targets (see `tables.joined`).
        objective: written into the table.
        features: columns of `frame` to correlate; `usable_features` names the sensible ones.
        targets: columns of `frame` to correlate with.
        resamples: bootstrap samples of families.
        seed: seed of the bootstrap.

    Returns:
        objective, target, feature, n, n_families, pearson, pearson_low, pearson_high, spearman, spearman_low,
        spearman_high (90%), p_value (Pearson, t = r sqrt(n - 2) / sqrt(1 - r^2), which takes models as independent and
        so leans low), p_adjusted (Benjamini-Hochberg over the table), partial_spearman_given_size (first-order partial
        correlation of ranks; missing for size itself).
    """
    rows = []
    for feature in features:
        known = frame[frame[[feature, *targets]].notna().all(axis=1)]
        sample = _Sample(known, feature, _weights(known, resamples, seed))
        rows += [
            {"objective": objective, "target": target, "feature": feature, **sample.row(target)} for target in targets
        ]
    table = pd.DataFrame(rows).sort_values("target", key=lambda names: names.map(list(targets).index), kind="stable")
    table.insert(len(table.columns) - 1, "p_adjusted", adjusted(table["p_value"]))  # beside p_value
    return table.reset_index(drop=True)


def adjusted(p_values: pd.Series) -> pd.Series:
    """Benjamini-Hochberg over the p-values that exist; the others stay missing."""
    known = p_values.dropna()  # multipletests is all NaN if one p-value is
    if known.empty:
        return p_values
    return pd.Series(multipletests(known, method="fdr_bh")[1], index=known.index).reindex(p_values.index)


@dataclass(frozen=True)
class _Sample:
    """The rows that have one feature, and the bootstrap weights over them, (resamples, n)."""

    rows: pd.DataFrame
    feature: str
    weights: Floats

    def row(self, target: str) -> dict[str, object]:
        x, y = (self.rows[name].to_numpy(dtype=float) for name in (self.feature, target))
        size = self.rows[SIZE].to_numpy(dtype=float)
        result: dict[str, object] = {"n": len(x), "n_families": self.rows["family"].nunique()}
        if len(x) < 3 or is_constant(x) or is_constant(y):
            return result | dict.fromkeys(STATISTICS, np.nan)
        pearson = pearsonr(x, y)
        samples = weighted_pearson(x, y, self.weights), weighted_spearman(x, y, self.weights)
        partial = np.nan if self.feature == SIZE else partial_spearman(x, y, size)
        values = [
            pearson.statistic,
            *percentile_interval(samples[0]),
            _spearman(x, y),
            *percentile_interval(samples[1]),
        ]
        return result | dict(zip(STATISTICS, [*values, pearson.pvalue, partial], strict=True))


def _weights(rows: pd.DataFrame, resamples: int, seed: int) -> Floats:
    if rows.empty:
        return np.empty((resamples, 0))
    return family_weights(rows["family"].tolist(), resamples, seed)


def is_constant(values: Floats) -> bool:
    """Whether the values, (n,), differ by no more than rounding."""
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max())


def partial_spearman(x: Floats, y: Floats, given: Floats) -> float:
    """Spearman correlation of x and y, (n,) each, with the ranks of `given` held fixed; missing where undefined."""
    xy, xz, yz = _spearman(x, y), _spearman(x, given), _spearman(y, given)
    left = (1 - xz**2) * (1 - yz**2)
    return float((xy - xz * yz) / np.sqrt(left)) if left > 1e-12 else float("nan")


def _spearman(x: Floats, y: Floats) -> float:
    if len(x) < 3 or is_constant(x) or is_constant(y):
        return float("nan")
    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])
