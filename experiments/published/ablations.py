"""How much does each decision inside the shipped predictor matter, and what could other decisions have shown?

Every variation changes one thing of the balanced ridge and, like it, leaves one family out and makes its choices inside
the training part. `ABLATIONS.md` holds what this prints, and how to read it. four minutes on two cores:

    .venv/bin/python experiments/published/ablations.py
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain, product

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel
from sklearn.linear_model import HuberRegressor, Ridge
from sklearn.preprocessing import StandardScaler

from rm_selection.analysis import accuracy
from rm_selection.analysis.balanced_ridge import FEATURE_SETS, PENALTIES, ridge_path
from rm_selection.analysis.balanced_ridge import NAME as RECOMMENDED
from rm_selection.analysis.gains import SIZE_GROUPS
from rm_selection.analysis.imputation import ConditionalNormal
from rm_selection.analysis.measurement import total_error
from rm_selection.analysis.predictor import PREDICTORS, FitPredict, Predictor, validate
from rm_selection.settings import CATEGORIES, OBJECTIVES
from rm_selection.table_rows import OPEN_LLM_V2
from rm_selection.tables import candidates, joined

Array = NDArray[np.float64]
Path = Callable[[Array, Array, Array, Array], Array]  # X, y, weights, new X (m, d): predictions (m, settings)
Estimator = Callable[..., BaseEstimator]
Menu = tuple[tuple[str, ...], ...]

SEED, RESAMPLES, PERMUTATIONS, NOISE_DRAWS, JOBS = 0, 1000, 20, 500, 2
SHIPPED: Menu = tuple(FEATURE_SETS.values())


def ridge(X: Array, y: Array, weights: Array, X_new: Array) -> Array:
    """The shipped fit, one column a penalty."""
    intercepts, slopes = ridge_path(X, y[:, None], weights)
    return np.asarray(X_new @ slopes[:, :, 0] + intercepts[:, 0])


def logit_ridge(X: Array, y: Array, weights: Array, X_new: Array) -> Array:
    """`ridge` on log(y / (100 - y)), back in points."""
    return np.asarray(100 / (1 + np.exp(-ridge(X, np.log(y / (100 - y)), weights, X_new))))


def one_by_one(make: Estimator, penalties: Array, X: Array, y: Array, weights: Array, X_new: Array) -> Array:
    """A scikit-learn model for every penalty, on features standardised as those of `ridge`."""
    w = weights / weights.sum()
    scaler = StandardScaler().fit(X, sample_weight=w)
    fits = [make(alpha=penalty).fit(scaler.transform(X), y, sample_weight=w) for penalty in penalties]
    return np.column_stack([fit.predict(scaler.transform(X_new)) for fit in fits])


@dataclass(frozen=True)
class Search:
    """The shipped procedure, a part exchanged: menu, fit, whether families count the same, or what is predicted."""

    menu: Menu = SHIPPED
    path: Path = ridge
    families_fit: bool = True
    families_choose: bool = True
    targets: tuple[str, ...] = CATEGORIES

    def __call__(self, train: pd.DataFrame, test: pd.DataFrame, seed: int) -> Array:
        """Predictions for `test`; the signature of `Predictor.fit_predict`."""
        del seed  # nothing random here
        X, X_new = _filled(train, test, self.menu)
        families = pd.factorize(train["family"])[0]
        weights = 1 / np.bincount(families)[families] if self.families_fit else np.ones(len(train))
        targets = (train[name].to_numpy(float) for name in self.targets)
        return np.asarray(
            np.clip(np.mean([self._predicted(X, y, weights, families, X_new) for y in targets], axis=0), 0, 100)
        )

    def _predicted(
        self, X: pd.DataFrame, y: Array, weights: Array, families: NDArray[np.intp], X_new: pd.DataFrame
    ) -> Array:
        tried = [self._errors(X[list(names)].to_numpy(), y, weights, families) for names in self.menu]
        best = int(np.argmin([errors.min() for errors in tried]))
        names = list(self.menu[best])
        return self.path(X[names].to_numpy(), y, weights, X_new[names].to_numpy())[:, tried[best].argmin()]

    def _errors(self, X: Array, y: Array, weights: Array, families: NDArray[np.intp]) -> Array:
        """The error on left-out families of every setting of the path."""
        total: Array = np.zeros(1)
        for family in range(families.max() + 1):
            held = families == family
            missed = np.abs(self.path(X[~held], y[~held], weights[~held], X[held]) - y[held, None])
            total = total + (missed.mean(axis=0) if self.families_choose else missed.sum(axis=0))
        return total


def _filled(train: pd.DataFrame, test: pd.DataFrame, menu: Menu) -> tuple[pd.DataFrame, ...]:
    columns = list(dict.fromkeys([*FEATURE_SETS["sizes_olv2"], *chain(*menu)]))
    normal = ConditionalNormal.fit(train[columns].to_numpy(float))
    return tuple(pd.DataFrame(normal.fill(f[columns].to_numpy(float))[0], columns=columns) for f in (train, test))


def gaussian_process(train: pd.DataFrame, test: pd.DataFrame, seed: int) -> Array:
    """Linear and RBF kernel and noise on sizes and benchmarks, fitted by marginal likelihood; rows count the same."""
    X, X_new = _filled(train, test, SHIPPED)
    scaler = StandardScaler().fit(X)
    kernel = ConstantKernel() * DotProduct() + ConstantKernel() * RBF(length_scale=3.0) + WhiteKernel()
    process = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=3, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a scale at its bound: that kernel is not needed
        process.fit(scaler.transform(X), train["score"])
    return np.asarray(process.predict(scaler.transform(X_new)))


def combination(train: pd.DataFrame, test: pd.DataFrame, seed: int) -> Array:
    """The plain average of three predictors, nothing chosen among them."""
    three = (FAST[name].fit_predict(train, test, seed) for name in (RECOMMENDED, "ridge", "size_tokens"))
    return np.asarray(sum(three) / 3)


def _with(name: str, menu: Menu = SHIPPED) -> Menu:
    return tuple((*names, name) for names in menu)


def _skills(source: str) -> Menu:
    components = tuple(f"{source}_{k}" for k in range(len(OPEN_LLM_V2)))
    return tuple(("params_b", "log_params_b", *components[:k]) for k in range(len(components) + 1))


FAST = {p.name: p for p in PREDICTORS if p.name in ("size", "size_tokens", "best_benchmark", "ridge", RECOMMENDED)}
QUICK: dict[str, FitPredict] = {
    "1 rows count the same in the fit": Search(families_fit=False),
    "1 rows count the same in the choice": Search(families_choose=False),
    "1 rows count the same in both": Search(families_fit=False, families_choose=False),
    "2 logit scale": Search(path=logit_ridge),
    "3 log tokens in every set": Search(_with("log_tokens_t")),
    "3 log tokens in the size-only sets": Search((*_with("log_tokens_t", SHIPPED[:3]), *SHIPPED[3:])),
    "4 log size only": Search((SHIPPED[1], SHIPPED[4])),
    "4 raw size only": Search((SHIPPED[0], SHIPPED[3])),
    "4 both sizes always": Search((SHIPPED[2], SHIPPED[5])),
    "4 no size": Search((OPEN_LLM_V2,)),
    "5 pairs of size and one benchmark added": Search((*SHIPPED, *product(("params_b", "log_params_b"), OPEN_LLM_V2))),
    "8 components of all 145 models": Search(_skills("everyone")),
    "13 release date in every set": Search(_with("month")),
    "13 mean of leaderboard v1 in every set": Search(_with("olv1_mean")),
    "13 months since the family's first": Search(_with("months_since_first")),
}
OTHERS: dict[str, FitPredict] = {
    "0 the shipped one as rewritten here": Search(),
    "6 slopes at least 0": Search(path=partial(one_by_one, partial(Ridge, positive=True), PENALTIES)),
    "7 the score at once": Search(targets=("score",)),
    "8 components of the 40 alone": Search(_skills("studied")),
    "9 Gaussian process": gaussian_process,
    "10 Huber's loss": Search(path=partial(one_by_one, partial(HuberRegressor, max_iter=2000), PENALTIES[::4])),
    "11 average of three predictors": combination,
}


def known(objective: str) -> pd.DataFrame:
    """`joined` with the side information of the variations, none of which has seen a score."""
    frame, pool = joined(objective), candidates(None)
    frame["month"] = [12 * int(day[:4]) + int(day[5:]) for day in frame["released"]]
    frame["months_since_first"] = frame["month"] - frame.groupby("family")["month"].transform("min")
    frame["olv1_mean"] = frame.filter(like="olv1_").mean(axis=1, skipna=False)
    for source, models in (("everyone", pool), ("studied", pool[pool["model"].isin(frame["model"])])):
        matrix = models[["log_params_b", *OPEN_LLM_V2]].to_numpy(float)
        Z = StandardScaler().fit_transform(ConditionalNormal.fit(matrix).fill(matrix)[0][:, 1:])
        components = pd.DataFrame(Z @ np.linalg.svd(Z)[2].T, index=models["model"])
        frame = frame.join(components.add_prefix(f"{source}_"), on="model")
    return frame


def outside(predictor: Predictor, frame: pd.DataFrame) -> pd.DataFrame:
    """Its leave-one-family-out predictions."""
    return validate(predictor, frame, "leave_family_out", SEED).assign(low=np.nan, high=np.nan)


def family_error(predictor: Predictor, frame: pd.DataFrame, family: str) -> float:
    """Family-mean MAE in leave-one-family-out of the families other than `family`."""
    rest = outside(predictor, frame[frame["family"] != family])
    return float((rest["actual"] - rest["predicted"]).abs().groupby(rest["family"]).mean().mean())


def chosen_inside(predictions: pd.DataFrame, errors: pd.DataFrame, name: str) -> pd.DataFrame:
    """For each family the rows of the predictor that is best on the others; errors are (families, predictors)."""
    best = errors.idxmin(axis=1)
    print(f"{name}: " + ", ".join(f"{family}: {choice}" for family, choice in best.items()) + "\n")
    return predictions[predictions["predictor"] == predictions["family"].map(best)].assign(predictor=name)


def noise_floor(frame: pd.DataFrame) -> pd.DataFrame:
    """What predicting every published score exactly would give against a repeat of the measurement: mean of draws."""
    rng, error = np.random.default_rng(SEED), total_error(frame)
    exact = frame[["family"]].assign(predicted=frame["score"], low=np.nan)
    draws = [exact.assign(actual=frame["score"] + error * rng.standard_normal(len(frame))) for _ in range(NOISE_DRAWS)]
    figures = pd.DataFrame([accuracy.accuracy(draw, 1, SEED) for draw in draws]).mean()
    return figures.to_frame().T.assign(predictor="14 noise floor")


def permuted(frame: pd.DataFrame, run: Parallel) -> str:
    """Error and rank correlation of the shipped procedure where scores are shuffled over all models."""
    rng = np.random.default_rng(SEED)
    frames = [frame.assign(score=rng.permutation(frame["score"])) for _ in range(PERMUTATIONS)]
    shuffled = run(delayed(outside)(FAST[RECOMMENDED], each) for each in frames)
    figures = pd.DataFrame([accuracy.accuracy(each, 1, SEED) for each in shuffled])[["mae", "spearman"]]
    text = [f"{name} {f.mean():.2f} ({f.min():.2f} to {f.max():.2f})" for name, f in figures.items()]
    return f"14 scores shuffled {PERMUTATIONS} times, mean (range): " + ", ".join(text)


def markdown(table: pd.DataFrame) -> str:
    """The rows as Markdown; * marks a difference whose interval excludes 0."""
    names = "variation | MAE | Spearman | r2 | coverage 5-10 | regret 1 | regret 3 | by size | MAE less shipped (90%)"
    lines = [f"| {names} |", "|---|" + "---:|" * 8]
    digits = {"mae": 2, "spearman": 2, "r2": 2, "coverage_5_10": 2, "regret_1": 1, "regret_3": 1}
    for _, row in table.iterrows():
        cells = [row["predictor"], *(f"{row[name]:.{places}f}" for name, places in digits.items())]
        low, high = row["mae_excess_low"], row["mae_excess_high"]
        excess = f"{row['mae_excess']:+.2f} ({low:+.2f} to {high:+.2f})" + " *" * (low * high > 0)
        cells.append(row["by_size"])
        cells.append("" if row["predictor"] == RECOMMENDED or np.isnan(low) else excess)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def by_size(predictions: pd.DataFrame, sizes: pd.Series) -> dict[str, str]:
    """By predictor, the regret of the choice of each size group, smallest first, in points."""
    found = {}
    for name, rows in predictions.groupby("predictor"):
        size = rows["model"].map(sizes)
        groups = (rows[(size >= low) & (size < high)] for _, low, high in SIZE_GROUPS)
        lost = (group["actual"].max() - group.sort_values("predicted")["actual"].iloc[-1] for group in groups)
        found[str(name)] = ", ".join(f"{points:.1f}" for points in lost)
    return found


def study(objective: str, run: Parallel) -> None:
    """Print the table of one objective."""
    frame = known(objective)
    predictors = [*FAST.values(), *(Predictor(name, "", "", how) for name, how in (QUICK | OTHERS).items())]
    predictions = pd.concat(run(delayed(outside)(p, frame) for p in predictors), ignore_index=True)
    quick, families = [p for p in predictors if p.name not in OTHERS], frame["family"].unique()
    cells = run(delayed(family_error)(p, frame, family) for family in families for p in quick)
    errors = pd.DataFrame(np.reshape(cells, (len(families), -1)), families, [p.name for p in quick])
    print(f"### {objective}\n")
    few = chosen_inside(predictions, errors[list(FAST)], f"12 chosen inside among the study's {len(FAST)}")
    many = chosen_inside(predictions, errors, f"12 chosen inside among {len(quick)} of the above")
    everything = pd.concat([predictions, few, many]).assign(objective=objective, feature_set="")
    table = accuracy.table(everything, RECOMMENDED, RESAMPLES, SEED)
    table["by_size"] = table["predictor"].map(by_size(everything, frame.set_index("model")["params_b"]))
    print(markdown(pd.concat([table, noise_floor(frame).assign(by_size="")])) + f"\n\n{permuted(frame, run)}\n")


if __name__ == "__main__":
    for each_objective in OBJECTIVES:
        study(each_objective, Parallel(n_jobs=JOBS))
