"""Ways to choose a base for a budget, in trainings of one base: ours, and what one would do otherwise.

Whoever orders bases without training (by size, a benchmark, the study's elastic net, the probe) spends the rest of the
budget on whole trainings from the top of the order, one seed of each or all, and takes the best of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNetCV
from sklearn.preprocessing import StandardScaler
from worlds import PROBING, SCORING, SKILLS, World

from rm_selection.analysis.belief import Belief, believe
from rm_selection.analysis.calibration import SCORE
from rm_selection.budget import LEAST
from rm_selection.next_runs import PROBE, Market
from rm_selection.reference import PUBLIC

Array = NDArray[np.float64]
DRAWS = 30  # orders of bases behind a strategy that draws them


def ours(world: World, budget: float, seeds: Sequence[int]) -> tuple[Belief, Array, float]:
    """Buys what saves most regret for its cost until the budget ends; returns belief, what is known, and the cost."""
    figures, known = world.calibration.figures, _known(world)
    values = _values(world, seeds)
    spent = 0.0
    while True:
        belief = believe(world.calibration, known)
        found = Market(belief, figures, known, world.prices).next(budget - spent + 1e-9)
        if found is None or found.gain < LEAST:
            return belief, known, spent
        for i in found.candidates:
            known[i, figures.index(found.figure)] = values[found.figure][i]
        spent += found.hours


def _known(world: World) -> Array:
    known = np.full((len(world.bases), len(world.calibration.figures)), np.nan)
    known[:, world.calibration.figures.index(PUBLIC)] = world.bases[PUBLIC]
    return known


def _values(world: World, seeds: Sequence[int]) -> dict[str, Array]:
    """What every figure would come out as: seeds are trained in that order."""
    found = dict(world.scores[seeds[0]]) | {PROBE: world.bases[PROBE].to_numpy(float)}
    return found | {f"{SCORE}_{place}": world.scores[seed][SCORE] for place, seed in enumerate(seeds[1:], start=2)}


def by_size(world: World) -> Array:
    """The largest first, and of those the one with most tokens."""
    order = world.bases["params_b"].rank() + 1e-3 * world.bases["tokens_t"].rank()
    return np.asarray(order, dtype=float)


def by_benchmark(world: World) -> Array:
    """The benchmark that ranks bases best in the other worlds."""
    means = {}
    for skill in SKILLS:
        ranks = [rows[skill].rank().corr(rows[SCORE].rank()) for _, rows in world.others.groupby("study")]
        means[skill] = float(np.mean(ranks))
    return world.bases[max(means, key=means.__getitem__)].to_numpy(float)


def by_elastic_net(world: World) -> Array:
    """The study's predictor: an elastic net on benchmarks and size, fitted to the other worlds."""
    columns = [*SKILLS, "log_params_b", "log_tokens_t"]
    scale = StandardScaler().fit(world.others[columns])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        net = ElasticNetCV(l1_ratio=[0.1, 0.5, 0.9], cv=5).fit(
            scale.transform(world.others[columns]), world.others[SCORE]
        )
    return np.asarray(net.predict(scale.transform(world.bases[columns])))


def by_ridge(world: World) -> Array:
    """What ours expects before anything is bought: the published kind of predictor, fitted to the other worlds."""
    return world.bases[PUBLIC].to_numpy(float)


def by_probe(world: World) -> Array:
    """The probe alone."""
    return world.bases[PROBE].to_numpy(float)


ORDERS: dict[str, tuple[Callable[[World], Array], float]] = {  # and what the order costs a base
    "size": (by_size, 0.0),
    "best single benchmark": (by_benchmark, 0.0),
    "elastic net": (by_elastic_net, 0.0),
    "ridge": (by_ridge, 0.0),
    "probe": (by_probe, PROBING),
}


def ordered(order: Array, cost: float, budget: float, scores: Sequence[Array]) -> int | None:
    """Whole trainings from the top of an order, as many as are left to pay; None where the order cannot be paid.

    scores: (n,) of each seed that is trained of a base; their mean chooses.
    """
    left = budget - cost * len(order)
    if left < -1e-9:
        return None
    top = np.argsort(-order, kind="stable")[: max(int(left / len(scores) + 1e-9), 0)]
    mean = np.mean(scores, axis=0)
    return int(np.argmax(order)) if not len(top) else int(max(top, key=lambda i: mean[i]))


def halving(world: World, budget: float, seed: int, rng: np.random.Generator) -> int | None:
    """Successive halving of as many bases, drawn at random, as the budget pays: a quarter, a half, the whole."""
    scores, order = world.scores[seed], rng.permutation(len(world.bases))
    for count in range(len(order), 1, -1):
        better = (count + 1) // 2
        last = (better + 1) // 2
        if count * _part(0.25) + better * _part(0.25) + last * _part(0.5) <= budget + 1e-9:
            left = sorted(order[:count], key=lambda i: -scores["at_25"][i])[:better]
            left = sorted(left, key=lambda i: -scores["at_50"][i])[:last]
            return int(max(left, key=lambda i: scores[SCORE][i]))
    return None


def _part(share: float) -> float:
    """Of training a share of the steps further and scoring it."""
    return share * (1 - SCORING) + SCORING
