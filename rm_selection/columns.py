"""What every column of a study's tables means, in which unit, and how its values are written for people."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import Any

MISSING = "\u2013"  # an en dash: a missing number is never shown as 0
MINUS = "\u2212"


@dataclass(frozen=True)
class Column:
    """A column: its heading, unit and meaning, and how its numbers are written.

    decimals: of every number; None: as they are. digits: significant ones, where numbers are large and small.
    """

    heading: str
    unit: str
    meaning: str
    decimals: int | None = None
    digits: int | None = None

    def places(self, value: object) -> int | None:
        """The decimals with which a value is written."""
        if self.digits is None or not isinstance(value, (int, float)) or not math.isfinite(value) or not value:
            return self.decimals
        return max(0, self.digits - 1 - math.floor(math.log10(abs(value))))


def _points(heading: str, meaning: str) -> Column:
    return Column(heading, "points, 0-100", meaning, 1)


def _share(heading: str, meaning: str, unit: str = "share, 0-1") -> Column:
    return Column(heading, unit, meaning, 2)


def _p_value(heading: str, meaning: str) -> Column:
    return Column(heading, "probability", meaning, 3)


def _text(heading: str, meaning: str) -> Column:
    return Column(heading, "text", meaning)


def shortened(names: Sequence[str], most: int = 8) -> str:
    """The names as a text, the first ones alone where there are more than `most`."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def amount(value: float) -> str:
    """Three figures, and never an exponent from 0.001 on: 0.00232, 86.9, 1,070."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def brief(basis: str) -> str:
    """The basis of a ranked score in a word, starred where it has a remark, such as the features filled in."""
    kind, _, remark = basis.partition(";")
    return f"{kind}*" if remark else kind


def under_budget(ranking: Container[Any]) -> bool:
    """Whether a ranking, or a row of it, was made under a budget: its scores are what all figures lead to expect.

    Only such a ranking says who is tied with the first.
    """
    return "tied" in ranking


_EXPECTED = _points(
    "Expected", "score to expect: measured or predicted, as the basis says; under a budget, given all figures"
)

# A key `table.column` goes before `column`. Any pair <name>_low, <name>_high is the 90% interval of <name>.
COLUMNS: dict[str, Column] = {
    "model": _text("Model", "the base model as it is named on the Hugging Face Hub"),
    "family": _text("Family", "lineage of the base; generations and fine-tunes of one lineage are one family"),
    "objective": _text(
        "Objective", "how the reward model is trained: regression on ratings, or Bradley-Terry on pairs"
    ),
    "predictor": _text("Predictor", "what ranks the bases"),
    "validation": _text("Validation", "which models the predictor saw: all, nine tenths, or all other families"),
    "feature_set": _text("Features", "what the predictor knows of a base"),
    "feature": _text("Feature", "a benchmark, or the logarithm of size or of pre-training tokens"),
    "target": _text("Target", "the score correlated with: overall, or a category of the evaluation"),
    "category": _text("Category", "category of the evaluation, or the overall score"),
    "stage": _text("Stage", "post-training stage of the model that the reward model was trained from"),
    "base": _text("Base", "the pretrained model whose stages are compared"),
    "size_group": _text("Size group", "billions of parameters"),
    "params_b": Column("Size", "billions of parameters", "parameters of the base", 2, 3),
    "pretraining_tokens_t": Column("Tokens", "trillions", "pre-training tokens", 1),
    "licence": _text("Licence", "licence of the base's weights"),
    "released": _text("Released", "month of release"),
    "n": Column("n", "count", "models behind the number", 0),
    "n_families": Column("Families", "count", "families behind the number", 0),
    "score": _points("Score", "score of the reward model on the study's evaluation"),
    "actual": _points("Measured", "score of the trained reward model"),
    "predicted": _points("Predicted", "predicted score of the reward model, with its 90% interval"),
    "regression": _points("Regression", "score when trained by regression on ratings"),
    "bradley_terry": _points("Bradley-Terry", "score when trained on preference pairs"),
    "difference": _points("Difference", "regression minus Bradley-Terry"),
    "mean_difference": _points("Mean difference", "regression minus Bradley-Terry, mean over models"),
    "won": Column("Won", "count", "models where regression scores higher", 0),
    "default_base": _text("Default base", "the Llama base of this size that one would take by default"),
    "default_score": _points("Default's score", "score with the default base"),
    "best_base": _text("Best base", "the base with the highest measured score in the group"),
    "best_score": _points("Best score", "score with the best base"),
    "gain_points": _points("Gain", "best minus default, with its 90% interval from measurement error"),
    "gain_percent": Column("Gain, %", "percent", "gain in percent of the default's score", 1),
    "gain_shrunk": _points("Gain less luck", "the gain after taking out what picking the luckiest of a group adds"),
    "pearson": _share("Pearson", "linear correlation with the score", "-1 to 1"),
    "spearman": _share("Spearman", "rank correlation with the score", "-1 to 1"),
    "partial_spearman_given_size": _share("Spearman given size", "rank correlation with size held fixed", "-1 to 1"),
    "p_value": _p_value("p", "p-value, not corrected for the number of tests"),
    "p_adjusted": _p_value("p adjusted", "p-value corrected for the number of tests in the table"),
    "k": Column("k", "count", "how many bases are chosen", 0),
    "coverage": _share("Coverage", "share of the truly best k bases that are among the k chosen"),
    "coverage_5_10": _share("Coverage, k = 5-10", "coverage averaged over k = 5 to 10"),
    "mae": Column("Mean error", "points", "mean absolute error of the prediction", 1),
    "rmse": Column("RMS error", "points", "root mean square error of the prediction", 1),
    "r2": _share("R\u00b2", "share of the variance explained; below 0 it is worse than the mean", "at most 1"),
    "regret_1": Column("Regret, 1", "points", "what the base predicted best falls short of the truly best", 1),
    "regret_3": Column(
        "Regret, 3", "points", "what the best of the first three by prediction falls short of the truly best", 1
    ),
    "interval_coverage": _share("Interval coverage", "share of measured scores inside the 90% interval; 0.90 is meant"),
    "intervals.coverage": _share("Scores inside", "share of measured scores inside the interval"),
    "level": _share("Level", "share of scores that the interval is meant to hold"),
    "family_coverage": _share("By family", "share inside, every family counting the same"),
    "mean_width": Column("Mean width", "points", "mean width of the interval", 1),
    "predictor.model": _text("Kind", "the kind of model behind the predictor"),
    "predictor.pearson": _share("Pearson", "linear correlation of predicted and measured scores", "-1 to 1"),
    "predictor.spearman": _share("Spearman", "rank correlation of predicted and measured scores", "-1 to 1"),
    "term": _text("Term", "feature in the regression"),
    "errors": _text("Errors", "how the standard error is made: HC3 (robust), or clustered by family"),
    "estimate": Column("Estimate", "points per standard deviation", "coefficient with its 90% interval", 2),
    "std_error": Column("Std. error", "as the estimate", "standard error of the estimate", 2),
    "vif": Column("VIF", "ratio", "variance inflation by the other terms; above 10 the term is hardly identified", 1),
    "leverage": _share("Leverage", "how much a model weighs on its own prediction"),
    "cooks_distance": _share("Cook's distance", "how far leaving the model out moves the fit", "ratio"),
    "studentized_residual": _share("Residual", "residual in its own standard errors, the model left out", "ratio"),
    "check": _text("Check", "what is tested"),
    "statistic": Column("Statistic", "that of the test", "test statistic", 2),
    "reading": _text("Reading", "what the result says"),
    "component": Column("Component", "number", "principal component of the benchmarks", 0),
    "explained_variance": _share("Explained", "share of the variance that this component explains"),
    "cumulative": _share("Cumulative", "share that this and all earlier components explain"),
    "imputed_share": _share("Imputed", "share of the cells that were missing and imputed"),
    "method": _text("Method", "how it was computed"),
    "benchmark": _text("Benchmark", "the public benchmark"),
    "change_points": _points("Change", "change of the score against the pretrained base, with its 90% interval"),
    "change_percent": Column("Change, %", "percent", "change in percent of the pretrained base's score", 1),
    "against": _text("Against", "the stage that it is compared with, of the same bases and seeds"),
    "bases": Column("Bases", "count", "bases that have both stages", 0),
    "made_from": _text("From", "the checkpoint that the stage started from"),
    "metric": _text("Metric", "what the stage trains on, measured on rows held out"),
    "before": Column("Before", "of the metric", "of the checkpoint it started from", 2),
    "after": Column("After", "of the metric", "of the stage made", 2),
    "change": Column("Change", "of the metric", "after minus before, with its 90% interval", 2),
    "improved": _text("Improved", "whether the whole interval lies above 0"),
    "made_stages.n": Column("n", "count", "rows held out", 0),
    "stage_choice.stage": _text("Best stage", "the stage of the base with the best reward model"),
    "runner_up": _text("Second", "the stage with the second best reward model"),
    "lead": _points("Lead", "best minus second best, same seeds and pairs, with its 90% interval"),
    "decided": _text("Decided", "whether the whole interval lies above 0"),
    "same_for_all": _text("Whatever the objective", "whether the same stage is best under every objective"),
    "rank": Column("Rank", "number", "place by predicted score", 0),
    "recommendation.predicted": _EXPECTED,
    "frontier.predicted": _EXPECTED,
    "measured": _points("Measured", "score of the trained reward model, mean over its runs; none before one has ended"),
    "probability_top_1": _share("P(best)", "probability of being the best of all candidates"),
    "tied": _text("Tied", "whether its score may be that of the first, for all that is known"),
    "probability_top_5": _share("P(top 5)", "probability of being among the best five"),
    "train_gpu_hours": Column(
        "Training", "hours", "published: A6000 hours by the study's protocol; own studies: hours of one run", 2, 3
    ),
    "basis": _text("Basis", "measured, or predicted and from what"),
    "seeds": Column("Seeds", "count", "runs behind the mean score", 0),
    "seed_sd": Column("SD of seeds", "points", "standard deviation of the score from seed to seed", 2),
    "seconds": Column("Seconds", "seconds", "time on the device it ran on", 2, 3),
    "percent_of_training": Column("Of a training", "percent", "cost in percent of training one reward model", 1),
    "what": _text("What", "a feature of a base, or the training of one reward model"),
    "span_points": _points("Span", "best minus worst base, with its 90% interval"),
    "span_shrunk": _points("Span less luck", "the span after taking out what picking the extremes adds"),
    "worst_base": _text("Worst base", "the base with the lowest measured score"),
    "worst_score": _points("Worst score", "score with the worst base"),
    "feature_seconds": Column("Measuring", "seconds a base", "what the features of this set cost", 2),
    "trained": Column("Trained", "count", "bases that can be trained at the cost of the dearest feature set", 0),
    "regret_equal_cost": Column(
        "Regret, equal cost", "points", "what the best of these falls short of the truly best", 1
    ),
    "domain": _text("Domain", "where the documents come from"),
    "first": _text("First", "one of two bases compared"),
    "second": _text("Second", "the other of two bases compared"),
    "distance": _share("Distance", "Jensen-Shannon distance of log p a byte, base 2; 0: alike, 1: nothing in common"),
    "by_chance": _share("By chance", "about the distance that two equal bases would show on as many documents"),
    "distances.n": Column("n", "count", "documents behind the distance", 0),
    "tokens_t": Column("Tokens", "trillions", "pre-training tokens", 4, 3),
    "sources.source": _text("Source", "this study, or the folder of somebody who shared theirs"),
    "sources.runs": Column("Runs", "count", "finished reward models", 0),
    "measurements": Column("Measurements", "count", "finished measurements of a base", 0),
    "failed": Column("Failed", "count", "runs and measurements that failed or were skipped", 0),
    "protocols": _text("Protocols", "eight digits for each way in which the runs were made"),
    "unlike": _text("Made otherwise", "the first setting in which its runs differ from the others"),
    "step_points": _points("Gain on cheaper", "what it scores more than the best of all that cost less"),
    "device": _text("Device", "what it ran on"),
    "hours": Column("Hours", "hours", "time on the device, all records together", 2, 3),
    "spent.what": _text("What", "the training of reward models with an objective, or a kind of feature"),
    "spent.n": Column("n", "count", "records that tell their time", 0),
    "fact": _text("Fact", "what is told of the checkpoint"),
    "checkpoint_facts.value": _text("Value", "what it is"),
    "chosen": _text("Chosen", "whether this learning rate made the reward model"),
    "step": Column("Step", "number", "optimiser step", 0),
    "part": _text(
        "Part", "the overall score, a category or a subset of the evaluation, or what length alone would get"
    ),
    "seed *": _points("Seed", "score of the run with this seed, with its 90% interval from the pairs"),
    "mean_score": _points("Mean", "mean over seeds"),
    "evaluation": _text("Evaluation", "the benchmark"),
    "value": Column("Value", "of the feature", "the figure, with its 90% interval where one was measured", 2, 4),
    "place": _text("Place", "among all checkpoints of this report, the highest figure first"),
    "how": _text("How", "how it was measured"),
    "source": _text("Source", "where the figure comes from"),
    "status": _text("Status", "finished, partial, failed or skipped"),
    "reason": _text("Reason", "why it is not finished"),
    "dataset": _text("Data", "the preference data"),
    "seed": Column("Seed", "number", "seed of the run", 0),
    "rate": Column("Rate", "a step", "learning rate that was chosen on validation", 2, 2),
    "best_step": Column("Step", "number", "optimiser step whose weights were kept", 0),
    "tokens": Column("Tokens", "count", "trained on, all learning rates together", 0),
    "checkpoint_features.seconds": Column("Seconds", "seconds", "time of the whole measurement it came from", 2, 3),
    "checkpoint_runs.metric": _text("Judged by", "what rates and steps are chosen by, on validation"),
    "checkpoint_runs.value": Column("Reached", "as judged", "its value at that step", 2, 3),
    "run_id": _text("Run", "folder of the run's record"),
    "table": _text("Table", "what is missing"),
    "claim": _text("Claim", "number of the claim"),
    "statement": _text("Statement", "what the study says"),
    "claimed": _text("Claimed", "the study's number"),
    "found": _text("Found", "the number found here"),
    "reproduced": _text("Reproduced", "yes, partly, no, or not testable"),
    "why": _text("Why", "the reason"),
}

_LABELS = {
    "regression": "regression",
    "bradley_terry": "Bradley-Terry",
    "in_sample": "in sample",
    "ten_fold": "ten-fold",
    "leave_family_out": "leave one family out",
    "balanced_ridge": "balanced ridge",
    "elastic_net": "elastic net",
    "low_rank": "low rank",
    "size_tokens": "size and tokens",
    "best_benchmark": "best benchmark",
    "chat_hard": "chat hard",
    "score": "overall",
    "both": "mean of both objectives",
    "benchmarks_presence": "benchmarks, presence",
    "benchmarks_probe": "benchmarks, probe",
    "benchmarks_probe_averaged": "mean of benchmarks', probe's",
    "all": "all features",
    "hc3": "HC3",
    "cluster": "clustered by family",
}
LABELLED = ("objective", "predictor", "validation", "target", "category", "errors")  # columns whose values are named


def described(table: str, column: str) -> Column:
    """The description of a column; an unknown one, such as a benchmark, is headed by its own name.

    One of several that are numbered, such as `seed 3`, is described as `seed *`.
    """
    unknown = Column(column, "as in the table", "described by its name only")
    if numbered := COLUMNS.get(f"{column.rpartition(' ')[0]} *"):
        unknown = replace(numbered, heading=column)
    return COLUMNS.get(f"{table}.{column}", COLUMNS.get(column, unknown))


def label(name: object) -> str:
    """`name` of a table as words: the known ones spelled out, any other as it is."""
    return _LABELS.get(str(name), str(name))


def is_missing(value: object) -> bool:
    """Whether a cell holds nothing: None, NaN, NaT, pd.NA or an empty text."""
    return value is None or str(value) in ("", "nan", "NaT", "<NA>", "None")


def written(value: object, decimals: int | None) -> str:
    """A cell as people read it: `decimals` places, a true minus sign, an en dash for a missing value."""
    if is_missing(value):
        return MISSING
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if math.isinf(value):
        return f"{MINUS if value < 0 else ''}\u221e"
    if decimals is None:
        decimals = 0 if float(value).is_integer() and isinstance(value, int) else 2
    if decimals == 3 and 0 <= value < 0.001:  # only p-values have three
        return "<0.001"
    text = f"{value:.{decimals}f}"
    return text.replace("-", MINUS) if float(text) else text.lstrip("-")
