"""What is known before candidates are ranked: measured models, a predictor fitted to them, and how it did.

Nothing here needs more than numpy and pandas, so that `recommend` answers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rm_selection.analysis import measured_frame
from rm_selection.analysis.accuracy import accuracy
from rm_selection.analysis.balanced_ridge import FEATURE_SETS, SCORE, BalancedRidge, FeatureSets
from rm_selection.analysis.intervals import half_width, nested
from rm_selection.analysis.measurement import normal_interval, total_error
from rm_selection.columns import shortened
from rm_selection.settings import CATEGORIES
from rm_selection.study_tables import Study
from rm_selection.tables import joined

RESAMPLES = 1000  # of families, as in conf/regress.yaml, so that both print the same intervals

# The study's 4,500 A6000 hours bought 40 models x 2 objectives x 10 learning rates. They are shared out by size and by
# sequences a run: HelpSteer2-Preference has 6,766 training pairs, one epoch; HelpSteer2 20,324 responses, two epochs.
STUDY_GPU_HOURS = 4500.0
SEQUENCES = {"bradley_terry": 2 * 6_766, "regression": 2 * 20_324}


Fitted = tuple[BalancedRidge | None, pd.DataFrame, float, dict[str, float]]  # the last fields of Evidence


@dataclass(frozen=True)
class Evidence:
    """What is known for one objective.

    measured: model, score, error (standard error, points). predictor: fitted to them; None where they are too few.
    held_out: model, family, actual, predicted, low, high: leave-one-family-out, nested. width: half an interval.
    figures: `accuracy` of held_out. hours: of training candidates. measured_by, known, hours_are: said of the ranking.
    said: what else there is to say, a sentence each.
    """

    objective: str
    measured: pd.DataFrame
    hours: Callable[[pd.DataFrame], pd.Series]
    measured_by: str
    known: str
    hours_are: str
    predictor: BalancedRidge | None
    held_out: pd.DataFrame
    width: float
    figures: dict[str, float]
    said: tuple[str, ...] = ()

    @property
    def predicts(self) -> bool:
        """Whether predictions for an unseen family beat the mean score of all models."""
        return self.figures["r2"] > 0


def published(objective: str, categories: Sequence[str] = CATEGORIES) -> Evidence:
    """Of the study's models and public figures; the score is the mean of those categories, each predicted by itself."""
    frame, every = joined(objective), set(categories) == set(CATEGORIES)
    frame["error"] = total_error(frame, categories)
    if not every:
        frame["score"] = frame[list(categories)].mean(axis=1)
    score = "score" if every else f"mean of {', '.join(categories)}" if len(categories) > 1 else categories[0]
    return Evidence(
        objective,
        frame,
        lambda candidates: training_hours(candidates["params_b"], objective),
        f"measured by the study (arXiv 2505.10775, RewardBench {score})",
        "public figures",
        "A6000 hours, ten learning rates",
        *_fitted(frame, FEATURE_SETS, categories),
    )


def own(study: Study, objective: str) -> tuple[pd.DataFrame, Evidence, list[str]]:
    """Of a study of one's own: its candidates, what is known, and what to beware of.

    Candidates are the checkpoints with a reward model and, where a predictor could be fitted, those with features.
    """
    everyone = measured_frame.frame(study.runs[objective], study.features)
    frame = everyone.dropna(subset=["score"]).reset_index(drop=True)
    seconds = everyone.set_index("model")["seconds"]
    evaluation = study.runs[objective]["evaluation"].iloc[0]
    shortage = measured_frame.shortage(frame)
    found: Fitted = (None, pd.DataFrame(), float("nan"), {})
    if not shortage:
        found = _fitted(frame, measured_frame.feature_sets(frame))
    known = Evidence(
        objective,
        frame,
        lambda candidates: candidates["model"].map(seconds) / 3600,
        f"measured in this study (score on {evaluation}, mean over seeds)",
        "what was measured of them",
        "hours of one run on the device of its record",
        *found,
        (*study.told, *_on_ties(frame, study.runs[objective]), *_on_stages(study, objective)),
    )
    left_out = len(everyone) - len(frame) if shortage else 0
    warning = f"{left_out} checkpoints without a reward model are not ranked: {shortage}."
    return frame if shortage else everyone, known, [*study.beware, *([warning] if left_out else [])]


def _on_stages(study: Study, objective: str) -> tuple[str, ...]:
    """Which stage of a base should carry the reward model; nothing where no base has several."""
    staged = {name: study.runs[name] for name in study.answers}
    if objective not in staged:
        return ()
    from rm_selection.analysis import stage_choice  # it needs scipy, which takes its time

    return tuple(stage_choice.sentences(stage_choice.choices(staged, study.answers), objective))


def _on_ties(frame: pd.DataFrame, runs: pd.DataFrame) -> list[str]:
    """Which measured checkpoints seeds and pairs may have put behind the first: another seed is worth it for these."""
    ranked = frame.sort_values(["score", "model"], ascending=[False, True])
    first, others = ranked.iloc[0], ranked.iloc[1:]
    if others.empty:
        return []
    _, reach = normal_interval(0.0, np.hypot(others["error"].to_numpy(float), float(first["error"])))
    tied = others[(first["score"] - others["score"]).to_numpy(float) <= reach]
    if tied.empty:
        return [f"No other measured checkpoint is within what seeds and pairs explain of {first['model']}."]
    bases = list(dict.fromkeys(name.partition("@")[0] for name in (first["model"], *tied["model"])))
    names, seed = shortened(list(tied["model"])), int(runs["seed"].max()) + 1
    return [
        f"Tied with {first['model']}, for all that seeds and pairs tell: {names}. More seeds are worth it for these "
        f"alone: the same training with base={','.join(bases)} seed={seed}."
    ]


def training_hours(params_b: pd.Series, objective: str) -> pd.Series:
    """A6000 hours of the study's protocol (ten learning rates) for models of `params_b` billions of parameters.

    The study's reported total shared out by size x sequences; the total includes evaluation, so this leans high.
    """
    total = 10 * joined(objective)["params_b"].sum() * sum(SEQUENCES.values())
    return STUDY_GPU_HOURS / total * 10 * SEQUENCES[objective] * params_b


def _fitted(frame: pd.DataFrame, sets: FeatureSets, targets: Sequence[str] = SCORE) -> Fitted:
    """The predictor, its nested predictions, half the width of an interval, and how good the predictions were."""
    held_out = nested(frame, targets, sets)
    width = half_width(held_out["actual"] - held_out["predicted"])
    return BalancedRidge.fit(frame, targets, sets), held_out, width, accuracy(held_out, RESAMPLES, seed=0)
