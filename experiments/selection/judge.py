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
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 1.0)  # of the cost of training every base once
OURS, HALVING, RANDOM = "ours", "successive halving", "random"
SHOWN = (0.0, 0.1, 0.2, 0.4, 1.0)  # of them, in the table that is printed
RESAMPLES = 2000
Row = tuple[str, float, str, float, float]
ROW = ("world", "share", "strategy", "regret", "cost")  # regret in points, cost in trainings a base
Held = tuple[str, float, bool, bool]
HELD = ("world", "share", "trained", "inside")  # was it trained whole, did its 90% interval hold the mean over seeds
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
    for share in SHARES:
        for seeds in _turns(world):
            belief, known, spent = ours(world, share * n, seeds)
            rows.append((world.name, share, OURS, world.regret(int(belief.mean.argmax())), spent / n))
            held += [(world.name, share, *one) for one in _inside(world, belief, known)]
            scores = world.scores[seeds[0]][SCORE]
            choices = {name: [ordered(order, cost, share * n, scores)] for name, (order, cost) in orders.items()}
            choices[RANDOM] = [ordered(rng.random(n), 0.0, share * n, scores) for _ in range(DRAWS)]
            choices[HALVING] = [halving(world, share * n, seeds[0], rng) for _ in range(DRAWS)]
            for name, found in choices.items():
                regrets = [world.regret(choice) for choice in found if choice is not None]
                rows += [(world.name, share, name, float(np.mean(regrets)), share)] if regrets else []
    return rows, held


def _turns(world: World) -> list[list[int]]:
    seeds = sorted(world.scores)
    return [seeds[k:] + seeds[:k] for k in range(len(seeds))]


def _inside(world: World, belief: Belief, known: Array) -> Iterator[tuple[bool, bool]]:
    """Of every base whose mean over seeds is foretold: was it trained whole, and did its interval hold the mean?

    Seeds that were trained are known, the others are drawn about the expected score.
    """
    columns = [k for k, name in enumerate(world.calibration.figures) if name.partition("_")[0] == SCORE]
    seen = ~np.isnan(known[:, columns])
    count, left = len(columns), len(columns) - seen.sum(axis=1)
    mean = (np.nansum(known[:, columns], axis=1) + left * belief.mean) / count
    sd = np.sqrt((left / count * belief.sd) ** 2 + left * world.calibration.seed_sd**2 / count**2)
    low, high = normal_interval(mean, sd)
    inside = (low <= world.truth) & (world.truth <= high)
    return ((bool(seen[i].any()), bool(inside[i])) for i in range(len(mean)) if left[i])


def over_worlds(found: pd.DataFrame, value: str) -> pd.DataFrame:
    """Mean over worlds with its 90% interval, which resamples worlds: a row a strategy and share."""
    rows = []
    for (strategy, share), part in found.groupby(["strategy", "share"]):
        each = part.groupby("world")[value].mean().to_numpy()
        drawn = np.random.default_rng(0).choice(each, (RESAMPLES, len(each))).mean(axis=1)
        rows.append((strategy, share, each.mean(), *percentile_interval(drawn)))
    return pd.DataFrame(rows, columns=["strategy", "share", value, f"{value}_low", f"{value}_high"])


def figure(table: pd.DataFrame, folder: Path) -> None:
    """Regret against the share of the full cost, as PNG and SVG."""
    with mpl.rc_context(RC):
        drawn, (axes,) = canvas("Regret against what choosing costs (above 2 points: cut off)", 4.2)
        for name, (colour, marker) in MARKS.items():
            rows, width = table[table["strategy"] == name], 2.2 if name == OURS else 0.9
            axes.plot(100 * rows["share"], rows["regret"], color=colour, marker=marker, lw=width)
            if name == OURS:
                low, high = rows["regret_low"], rows["regret_high"]
                axes.fill_between(100 * rows["share"], low, high, color=colour, alpha=0.15, lw=0)
        axes.set(xlabel="cost, % of training every base once", ylabel="mean regret, points", ylim=(0, 2))
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
    wide = table.assign(told=told, share=table["share"].map("{:.0%}".format))
    wide = wide.pivot(index="strategy", columns="share", values="told")[[f"{share:.0%}" for share in SHOWN]]
    console.table(f"Regret, points, mean over {len(every)} worlds with 90% interval", wide.fillna("").reset_index())
    console.line(f"90% intervals held {inside['inside'].mean():.1%}: by share {_shares(inside, 'share')}")
    console.line(f"of bases trained whole and not: {_shares(inside, 'trained')}")
    console.line(f"figure and tables: {folder}")


def _shares(inside: pd.DataFrame, by: str) -> str:
    return ", ".join(f"{name:g}: {part['inside'].mean():.0%}" for name, part in inside.groupby(by))


if __name__ == "__main__":
    main()
