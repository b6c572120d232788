"""What a choice comes to: the ranking, who is tied with the first, what it may still cost, and what was saved."""

from __future__ import annotations

import shlex

import numpy as np
import pandas as pd

from rm_selection import runs, standing
from rm_selection.analysis.belief import Belief
from rm_selection.analysis.calibration import SCORE
from rm_selection.analysis.measurement import normal_interval
from rm_selection.budget import Choice, Plan
from rm_selection.columns import amount, shortened
from rm_selection.next_runs import PROBE, SEEDS, STOPS, Prices

DRAWS = 4000


def ranking(plan: Plan, choice: Choice) -> pd.DataFrame:
    """Every candidate, the best first: the columns of a study's `recommendation`, `family`, `measured` and `tied`.

    predicted: what is expected, given all figures. measured: mean score of its whole trainings, NaN before any.
    tied: whether the 90% interval of the difference from the first holds 0. basis: the furthest that is known of it.
    """
    belief, rng = choice.belief, np.random.default_rng(plan.settings.seed)
    draws = belief.draws(rng, DRAWS)
    places = (-draws).argsort(axis=1).argsort(axis=1)
    low, high = normal_interval(belief.mean, belief.sd)
    bases = [one.base for one in choice.candidates]
    table = pd.DataFrame(
        {
            "model": [one.name for one in choice.candidates],
            "family": [base.family for base in bases],
            "params_b": [base.params_b for base in bases],
            "licence": [base.licence for base in bases],
            "predicted": belief.mean,
            "low": low,
            "high": high,
            "probability_top_1": (places == 0).mean(axis=0),
            "probability_top_5": (places < 5).mean(axis=0),
            "train_gpu_hours": choice.prices.training[SCORE],
            "basis": [_basis(plan.figures, row) for row in choice.known],
            "measured": _measured(plan.figures, choice.known),
            "tied": _tied(belief),
        }
    ).sort_values(["predicted", "model"], ascending=[False, True], ignore_index=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def regret(choice: Choice, seed: int) -> float:
    """Points by which the best candidate is expected to beat the one that is chosen."""
    draws = choice.belief.draws(np.random.default_rng(seed), DRAWS)
    return float((draws.max(axis=1) - draws[:, choice.belief.mean.argmax()]).mean())


def sentences(plan: Plan, table: pd.DataFrame, now: Choice, choice: Choice) -> list[str]:
    """The answer in words, the most important first.

    now: as the records have it, of which the answer and table, its ranking, speak. choice: the same, or in a dry run
    what it may come to.
    """
    said = [
        *_on_first(plan, table, now),
        _on_models(plan, now),
        _on_hours(plan, now, choice),
        f"Ended because {choice.ended}.",
        plan.offer.too_large,
        *(f"{name} is left out: {reason}" for name, reason in choice.failed.items()),
        *(
            f"{name} is judged without {'its probe' if figure == PROBE else 'a further seed'}: {why}"
            for (name, figure), why in choice.without.items()
        ),
    ]
    return [sentence for sentence in said if sentence]


def purchases(choice: Choice) -> pd.DataFrame:
    """What was bought, a row a purchase: step, figure, candidates, hours, gain and command, as expected before it."""
    rows = [
        (step, each.figure, " ".join(each.names), each.hours, each.gain, "; ".join(map(shlex.join, each.commands)))
        for step, each in enumerate(choice.purchases, start=1)
    ]
    return pd.DataFrame(rows, columns=["step", "figure", "candidates", "hours", "gain", "command"])


def _on_models(plan: Plan, choice: Choice) -> str:
    """Where the reward models of the first lie; nothing where none was trained to its end."""
    one = choice.candidates[int(choice.belief.mean.argmax())]
    folders = [standing.folder(plan.settings, one, seed) for seed in range(SEEDS)]
    done = [str(each) for each in folders if (runs.read_record(each) or {}).get("status") == "finished"]
    return f"It is trained already: {' and '.join(done)}." if done else ""


def _on_first(plan: Plan, table: pd.DataFrame, now: Choice) -> list[str]:
    first, offered = table.iloc[0], len(plan.offer.candidates)
    head = "So far the best is" if plan.settings.dry_run else "Train the reward model from"
    score = f"{first['model']}: expected score {first['predicted']:.1f} [{first['low']:.1f}, {first['high']:.1f}]"
    if len(table) == 1:
        alone = "the only candidate" if offered == 1 else f"the only one of {offered} that did not fail"
        return [f"{head} {score}, {alone}."]
    left = f"{len(table)}" if len(table) == offered else f"the {len(table)} of {offered} that did not fail"
    chance = f"the best of {left} with a chance of {first['probability_top_1']:.0%}"
    tied = table.loc[table["tied"] & (table["rank"] > 1), "model"].tolist()
    return [
        f"{head} {score}, {chance}; expected regret {regret(now, plan.settings.seed):.1f} points.",
        f"Tied with it, for all that is known: {shortened(tied, 5)}."
        if tied
        else f"No other candidate is tied with {first['model']} at 90%.",
    ]


def _on_hours(plan: Plan, now: Choice, choice: Choice) -> str:
    budget, everything = f"of {plan.settings.budget_gpu_hours:,g} device-hours", _everything(plan, choice)
    part = choice.hours / max(everything, 1e-12)
    saved = f"{1 - part:.0%} less than" if part < 1 else f"{part:.1f} times"
    beside = f"{saved} one training of each of {len(plan.offer.candidates)} candidates ({amount(everything)}; "
    spent = f"Spent {amount(choice.hours)} {budget}"
    if plan.settings.dry_run:
        before = f"{amount(now.hours)} are spent already" if now.hours else ""
        more = f"Would spend {amount(choice.hours - now.hours)} {budget}" if choice.purchases else "Would buy nothing"
        spent = f"{more}; {before}" if before else more
    return f"{spent}, {beside}{plan.offer.basis})."


def _everything(plan: Plan, choice: Choice) -> float:
    """Device-hours of one whole training of every candidate, those that failed included, at the prices of now."""
    offered = plan.offer
    kept = [i for i, one in enumerate(offered.candidates) if one in choice.candidates]
    model, before = _whole(offered.prices), _whole(offered.prices.of(kept))
    return float(model.sum() * _whole(choice.prices).sum() / max(before.sum(), 1e-12))


def _whole(prices: Prices) -> np.ndarray:
    return np.asarray(prices.training[SCORE] + prices.scoring)


def _basis(figures: tuple[str, ...], known: np.ndarray) -> str:
    there = {name for name, value in zip(figures, known, strict=True) if not np.isnan(value)}
    whole = sum(name.partition("_")[0] == SCORE for name in there)
    if whole:
        return "measured" if whole == 1 else f"measured, {whole} seeds"
    if stops := [STOPS[name] for name in there if name in STOPS]:
        return f"trained to {max(stops):.0%}"
    return "probed" if PROBE in there else "predicted" if there else "unknown"


def _measured(figures: tuple[str, ...], known: np.ndarray) -> pd.Series:
    whole = [name for name in figures if name.partition("_")[0] == SCORE]
    return pd.DataFrame(known, columns=list(figures))[whole].mean(axis=1)


def _tied(belief: Belief) -> np.ndarray:
    first = int(belief.mean.argmax())
    variance = belief.cov[first, first] + np.diag(belief.cov) - 2 * belief.cov[first]
    _, reach = normal_interval(np.zeros(len(variance)), np.sqrt(np.maximum(variance, 0)))
    return np.asarray(belief.mean[first] - belief.mean <= reach)
