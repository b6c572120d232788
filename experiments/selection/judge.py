"""Regret against the cost of choosing, ours beside what one would do otherwise, over the shipped small worlds.

    python experiments/selection/judge.py FOLDER     # prints the tables; figure and CSV go to the folder

Every world is judged by what the others teach. Its seeds take turns in being the first that is trained.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from strategies import DRAWS, ORDERS, halving, ordered, ours
from worlds import World, worlds

from rm_selection import console
from rm_selection.analysis.belief import Belief
from rm_selection.analysis.calibration import SCORE
from rm_selection.analysis.measurement import normal_interval
from rm_selection.analysis.resampling import percentile_interval
from rm_selection.plot_style import BLUE, GREEN, ORANGE, PURPLE, RC, SKY, VERMILLION, Entry, canvas, legend
from rm_selection.plots import save

Array = NDArray[np.float64]
TRAININGS = (0.0, 0.8, 1.6, 3.2, 4.8, 6.4, 9.6, 16.0, 48.0)  # of one base, that a choice may cost
FULL = 48  # all 16 bases with three seeds, which the truth is the mean of
OURS, HALVING, RANDOM, ALL = "ours", "successive halving", "random", ", all seeds"
SHOWN = (0.0, 1.6, 3.2, 6.4, 9.6, 16.0)  # of them, in the table that is printed
RESAMPLES = 2000
Row = tuple[str, float, str, float, float]
ROW = ("world", "trainings", "strategy", "regret", "cost")  # allowed and spent, in trainings; regret in points
Held = tuple[str, float, bool, bool]
HELD = ("world", "trainings", "trained", "inside")  # trained whole? did its 90% interval hold the mean over seeds?
MARKS = {
    OURS: (BLUE, "o"),
    "ridge": (SKY, "s"),
    "elastic net": (VERMILLION, "D"),
    "probe": (GREEN, "^"),
    "size": (ORANGE, "v"),
    "best single benchmark": (PURPLE, "P"),
    HALVING: (GREEN, "X"),
    RANDOM: (VERMILLION, "*"),
}


def judged(world: World) -> tuple[list[Row], list[Held]]:
    """Every strategy at every budget, and how ours' intervals did."""
    rng, n = np.random.default_rng(0), len(world.bases)
    orders = {name: (order(world), cost) for name, (order, cost) in ORDERS.items()}
    rows: list[Row] = []
    held: list[Held] = []
    for budget in TRAININGS:
        for seeds in _turns(world):
            belief, known, spent = ours(world, budget, seeds)
            mean, sd = _over_seeds(world, belief, known)
            rows.append((world.name, budget, OURS, world.regret(int(mean.argmax())), spent))
            held += [(world.name, budget, *one) for one in _inside(world, known, mean, sd)]
            scores = [world.scores[seed][SCORE] for seed in seeds]
            choices = {
                f"{name}{told}": [ordered(order, cost, budget, scores[:count])]
                for name, (order, cost) in orders.items()
                for count, told in ((1, ""), (len(seeds), ALL))
            }
            choices[RANDOM] = [ordered(rng.random(n), 0.0, budget, scores[:1]) for _ in range(DRAWS)]
            choices[HALVING] = [halving(world, budget, seeds[0], rng) for _ in range(DRAWS)]
            for name, found in choices.items():
                regrets = [world.regret(choice) for choice in found if choice is not None]
                rows += [(world.name, budget, name, float(np.mean(regrets)), budget)] if regrets else []
    return rows, held


def _turns(world: World) -> list[list[int]]:
    seeds = sorted(world.scores)
    return [seeds[k:] + seeds[:k] for k in range(len(seeds))]


def _over_seeds(world: World, belief: Belief, known: Array) -> tuple[Array, Array]:
    """(n,) expected mean over the three seeds, and its standard deviation; 0 where all are known.

    Seeds that were trained are known, the others are drawn about the expected score.
    """
    scores = known[:, _columns(world)]
    count = scores.shape[1]
    left = np.isnan(scores).sum(axis=1)
    mean = (np.nansum(scores, axis=1) + left * belief.mean) / count
    return mean, np.sqrt((left / count * belief.sd) ** 2 + left * world.calibration.seed_sd**2 / count**2)


def _inside(world: World, known: Array, mean: Array, sd: Array) -> Iterator[tuple[bool, bool]]:
    """Of every base whose mean over seeds is foretold: was it trained whole, and did its interval hold the mean?"""
    low, high = normal_interval(mean, sd)
    inside = np.asarray((low <= world.truth) & (world.truth <= high))
    trained = np.asarray((~np.isnan(known[:, _columns(world)])).any(axis=1))
    return ((bool(trained[i]), bool(inside[i])) for i in range(len(mean)) if sd[i] > 0)


def _columns(world: World) -> list[int]:
    """Of the figures, the scores of whole trainings, one a seed."""
    return [k for k, name in enumerate(world.calibration.figures) if name.partition("_")[0] == SCORE]


def over_worlds(found: pd.DataFrame, value: str) -> pd.DataFrame:
    """Mean over worlds with its 90% interval, which resamples worlds: a row a strategy and budget."""
    rows = []
    for (strategy, trainings), part in found.groupby(["strategy", "trainings"]):
        each = part.groupby("world")[value].mean().to_numpy()
        rows.append((strategy, trainings, each.mean(), *percentile_interval(_resampled(each))))
    return pd.DataFrame(rows, columns=["strategy", "trainings", value, f"{value}_low", f"{value}_high"])


def differences(found: pd.DataFrame, trainings: float) -> None:
    """Print ours less each other way at one budget, with the 90% interval over worlds."""
    means = found[found["trainings"] == trainings].pivot_table(index="world", columns="strategy", values="regret")
    for name in means.columns.drop(OURS):
        each = (means[OURS] - means[name]).to_numpy()
        low, high = percentile_interval(_resampled(each))
        console.line(f"{trainings:g} trainings: ours less {name} {each.mean():+.2f} [{low:+.2f}, {high:+.2f}]")


def _held(inside: pd.DataFrame) -> tuple[float, float, float]:
    """Share of intervals that held, with its 90% interval over worlds."""
    low, high = percentile_interval(_resampled(inside.groupby("world")["inside"].mean().to_numpy()))
    return float(inside["inside"].mean()), low, high


def _resampled(each: Array) -> Array:
    """(RESAMPLES,) means of worlds drawn again."""
    return np.asarray(np.random.default_rng(0).choice(each, (RESAMPLES, len(each))).mean(axis=1))


def figure(table: pd.DataFrame, folder: Path) -> None:
    """Regret against the share of the full cost, as PNG and SVG; of orders, one seed a base."""
    with mpl.rc_context(RC):
        drawn, (axes,) = canvas("Regret against what choosing costs (above 2 points: cut off)", 4.2)
        for name, (colour, marker) in MARKS.items():
            rows, width = table[table["strategy"] == name], 2.2 if name == OURS else 0.9
            cost = 100 * rows["trainings"] / FULL
            axes.plot(cost, rows["regret"], color=colour, marker=marker, lw=width)
            if name == OURS:
                low, high = rows["regret_low"], rows["regret_high"]
                axes.fill_between(cost, low, high, color=colour, alpha=0.15, lw=0)
        axes.set(xlabel="cost, % of training every base with three seeds", ylabel="mean regret, points", ylim=(0, 2))
        axes.set_xlim(0, 100 * TRAININGS[-2] / FULL)
        legend(drawn, [Entry(name, mark, "-") for name, mark in MARKS.items()])
    save({"regret": drawn}, folder)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("name a folder for figure and tables: python experiments/selection/judge.py outputs/selection")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    every = worlds()
    both = Parallel(n_jobs=2)(delayed(judged)(world) for world in every)
    found = pd.DataFrame([row for rows, _ in both for row in rows], columns=list(ROW))
    inside = pd.DataFrame([one for _, held in both for one in held], columns=list(HELD))
    table = over_worlds(found, "regret")
    for name, frame in {"regret": table, "regret_by_world": found, "coverage": inside}.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    figure(table, folder)
    told = [f"{row.regret:.2f} [{row.regret_low:.2f}, {row.regret_high:.2f}]" for row in table.itertuples()]
    wide = table.assign(told=told).pivot(index="strategy", columns="trainings", values="told")[list(SHOWN)]
    wide.columns = [f"{trainings:g} ({trainings / FULL:.0%})" for trainings in SHOWN]
    title = f"Regret, points, mean over {len(every)} worlds with 90% interval, by trainings (share of {FULL})"
    console.table(title, wide.fillna("").reset_index())
    for trainings in (3.2, 9.6):
        differences(found, trainings)
    held, low, high = _held(inside)
    console.line(f"90% intervals held {held:.1%} [{low:.1%}, {high:.1%}] of {len(inside)}: by trainings")
    console.line(_shares(inside, "trainings"))
    console.line(f"of bases trained whole and not: {_shares(inside, 'trained')}")
    console.line(f"figure and tables: {folder}")


def _shares(inside: pd.DataFrame, by: str) -> str:
    return ", ".join(f"{name:g}: {part['inside'].mean():.0%}" for name, part in inside.groupby(by))


if __name__ == "__main__":
    main()
