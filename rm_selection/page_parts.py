"""The sections of the report, in order, and what each of its figures shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A section: how to read it, its figures (those in `folded` behind a click) and its tables."""

    id: str
    title: str
    reading: str
    figures: tuple[str, ...] = ()
    folded: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    caution: str = ""


PARTS = (
    Part(
        "scores",
        "How much the base matters",
        "Each mark is the mean score of the reward models trained from a base, with the error of its pairs and seeds; "
        "the further the first row lies right of the last, the more the choice of a base is worth.",
        figures=("scores",),
        tables=("span", "scores"),
    ),
    Part(
        "gains",
        "Gains over the default base",
        "In each block of sizes, a mark right of the dashed line is a base that gives a better reward model than the "
        "Llama base one would take by default.",
        figures=("gains",),
        tables=("gains",),
    ),
    Part(
        "correlation",
        "What goes with a good reward model",
        "The further right a mark, the more closely bases that score high on that benchmark also give good reward "
        "models; a line that crosses 0 leaves open whether there is any relation.",
        figures=("correlation_spearman", "correlation_categories"),
        folded=("correlation_pearson",),
        tables=("correlation",),
    ),
    Part(
        "coverage",
        "Finding the best bases",
        "Train the k bases that a predictor ranks first: the line says which share of the truly best k is among them. "
        "Only the panel that leaves a family out speaks of bases of a lineage not seen before.",
        figures=("coverage",),
        folded=("coverage_bradley_terry",),
        tables=("coverage",),
    ),
    Part(
        "stages",
        "Post-training stages",
        "Each large mark is how many points the reward model gains when trained from that stage rather than from the "
        "pretrained base; stages compare directly only within one publisher's recipe (Tulu's sft, dpo, rlvr). Stages "
        "named made-... are no publisher's: they were post-trained here from one base under one recipe.",
        figures=("stages",),
        tables=("stages", "stage_choice", "made_stages", "stages_published"),
    ),
    Part(
        "objectives",
        "Regression against Bradley-Terry",
        "A positive difference means that the base makes the better reward model by regression on ratings.",
        tables=("objectives_summary", "objectives"),
    ),
    Part(
        "predictors",
        "Predictors compared",
        "Smaller error and higher coverage are better; compare rows of one objective and one validation, and trust "
        "those that leave one family out, which come first.",
        figures=("errors",),
        tables=("predictor",),
    ),
    Part(
        "predictions",
        "Predicted against measured",
        "A mark on the dashed line is a score predicted exactly by a predictor that never saw a model of that family; "
        "the five worst are named.",
        figures=("predicted_actual",),
        folded=("predicted_actual_bradley_terry",),
        tables=("intervals", "predictions"),
    ),
    Part(
        "coefficients",
        "Coefficients and diagnostics",
        "Each mark is how many points of score go with one standard deviation of a feature, the others held fixed; a "
        "line that crosses 0 leaves its sign open.",
        figures=("coefficients",),
        folded=("coefficients_bradley_terry",),
        tables=("coefficients", "diagnostics", "influence"),
        caution="The benchmarks vary in about two directions, so their coefficients trade off against each other: the "
        "size, sign and p-value of a single coefficient mean little. Read the prediction as a whole.",
    ),
    Part(
        "cost",
        "What it costs, and what that buys",
        "The dashed line is the best score to be had for so many hours of training; what lies far below it is paid for "
        "without a gain. A hollow diamond was not trained to the end: its interval says how much of the gain is sure.",
        figures=("cost",),
        tables=("frontier", "spent", "costs"),
    ),
    Part(
        "components",
        "How many things the benchmarks measure",
        "A bar is the share of all differences between models on the benchmarks that one component accounts for; where "
        "the line is high after a few bars, the benchmarks mostly repeat each other.",
        figures=("components",),
        tables=("factors",),
    ),
    Part(
        "presence",
        "Which text the bases know",
        "The nearer to 0 a number, the less a base is surprised by the documents of a domain: a trace of what it was "
        "pre-trained on. Bases that know everything best stand first.",
        figures=("presence",),
    ),
    Part(
        "distances",
        "How alike the bases see the same text",
        "Two bases with a small number give the documents of a domain much the same scores, so their training data is "
        "probably alike; numbers near what chance alone makes say nothing.",
        figures=("distances",),
        tables=("distances",),
    ),
)
FIGURES = {
    "scores": "Reward-model score of every base by objective, with 90% intervals",
    "errors": "Mean absolute error of each predictor by validation, with 90% intervals",
    "recommendation": "Score of the best candidates, measured or expected, with 90% intervals",
    "gains": "Reward-model score of every base by size group and objective",
    "correlation_spearman": "Spearman correlation of each feature with the overall score",
    "correlation_pearson": "Pearson correlation of each feature with the overall score",
    "correlation_categories": "Spearman correlation of each feature with each category",
    "coverage": "Coverage at k by predictor and validation, regression",
    "coverage_bradley_terry": "Coverage at k by predictor and validation, Bradley-Terry",
    "stages": "Change of the score by post-training stage",
    "predicted_actual": "Predicted against measured score, leaving one family out, regression",
    "predicted_actual_bradley_terry": "Predicted against measured score, leaving one family out, Bradley-Terry",
    "coefficients": "Coefficients with 90% intervals, regression objective",
    "coefficients_bradley_terry": "Coefficients with 90% intervals, Bradley-Terry objective",
    "components": "Variance explained by each principal component",
    "cost": "Score of every candidate against the hours that its training takes",
    "presence": "Mean log p a byte of every base on the documents of each domain",
    "distances": "Jensen-Shannon distance between the presence scores of every two bases",
}
