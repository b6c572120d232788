"""What each column of a shared result table means, in which unit, and what it may hold: a model of pydantic a file."""

from __future__ import annotations

import json
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rm_selection.runs import digest

_ONE_LINE = r"^\P{Cc}+$"  # it is printed to terminals and into tables
_ID = r"^[^\s/\\]+$"


class SharedRow(BaseModel):
    """A row of a file that may be anybody's: columns that are not ours are ignored."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, frozen=True, protected_namespaces=())


def _column(text: str, pattern: str | None = _ONE_LINE, **limits: Any) -> Any:
    return Field(None, description=text, pattern=pattern, **limits)


def _number(text: str, **limits: Any) -> Any:
    return Field(None, description=text, **limits)


class CheckpointRow(SharedRow):
    """What a run and a measurement have in common."""

    run_id: str = Field(pattern=_ID, description="name of the record; the digits at its end stand for its settings")
    status: Literal["finished", "partial", "failed", "skipped"] = Field(
        description="finished, partial, failed or skipped"
    )
    kind: str | None = _column("class of the failure", None)
    reason: str | None = _column("why it failed or was skipped", None)
    base: str | None = _column("base model")
    stage: str | None = _column("post-training stage of it")
    family: str | None = _column("lineage, generations merged")
    params_b: float | None = _number("size, billions of parameters", gt=0)
    tokens_t: float | None = _number("pre-training tokens, trillions", gt=0)
    licence: str | None = _column("licence of the base")
    source: str | None = _column("repository of the checkpoint on the Hub; missing for a folder")
    revision: str | None = _column("commit of that repository")
    fingerprint: str | None = _column("SHA-256 of config, tokenizer and weights of a folder")
    made_from: str | None = _column("checkpoint that a stage made by rm-selection started from")
    seconds: float | None = _number("time on the device, seconds", ge=0)
    device: str | None = _column("device it ran on")
    versions: str | None = _column("versions of packages, and the commit of rm-selection, JSON")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.status == "finished" and None in (self.base, self.stage, self.family, self.seconds):
            raise ValueError("a finished row has base, stage, family and seconds")
        return self


class RunRow(CheckpointRow):
    """A reward model."""

    dataset: str | None = _column("preference data it was trained on")
    objective: str | None = _column("bradley_terry (pairs) or regression (ratings)")
    seed: int | None = _number("seed of head, order of data and resamples", ge=0)
    evaluation: str | None = _column("benchmark of the score; missing where several were scored, see scores")
    score: float | None = _number("accuracy on it, 0-100", ge=0, le=100)
    low: float | None = _number("lower end of its 90% interval, from the pairs")
    high: float | None = _number("upper end of it")
    n: int | None = _number("pairs scored", ge=0)
    tokens: int | None = _number("tokens trained on, all learning rates together", ge=0)
    protocol_id: str | None = _column("eight digits that stand for the protocol; only equal ones compare")
    protocol: str | None = _column("all settings that decide the score, beside base, stage and seed, JSON", None)

    @model_validator(mode="after")
    def _made(self) -> Self:
        if self.status == "finished":
            settings = json.loads(self.protocol or "null")
            if not isinstance(settings, dict) or digest(settings) != self.protocol_id:
                raise ValueError("protocol_id does not stand for the protocol beside it")
            parts = [settings.get(name, {}) for name in ("objective", "dataset", "evaluation")]
            if not all(isinstance(part, dict) for part in parts):
                raise ValueError("objective, dataset and evaluation of a protocol are objects")
            if self.seed is None or [part.get("name") for part in parts[:2]] != [self.objective, self.dataset]:
                raise ValueError("a finished run has a seed, and the objective and dataset of its protocol")
        return self


class ScoreRow(SharedRow):
    """A score of a reward model: overall, of a category, or of a subset."""

    run_id: str = Field(pattern=_ID, description="the run")
    evaluation: str = Field(pattern=_ONE_LINE, description="benchmark")
    part: Literal["overall", "category", "subset"] = Field(description="overall, category or subset")
    name: str = Field(pattern=_ONE_LINE, description="name of the category or subset; overall")
    score: float | None = _number("accuracy, 0-100; missing where the benchmark is incomplete", ge=0, le=100)
    low: float | None = _number("lower end of its 90% interval, from the pairs")
    high: float | None = _number("upper end of it")
    n: int | None = _number("pairs, of the overall score", ge=0)


class FeatureRow(CheckpointRow):
    """A figure measured on a checkpoint; a measurement that failed is one row without a figure."""

    feature: str | None = _column("benchmarks, presence or probe")
    name: str | None = _column("name of the figure")
    value: float | None = _number("the figure: benchmarks and accuracies 0-100, presence in nats")
    how: str | None = _column("how it was measured; only figures measured alike compare", None)
    tokens: int | None = _number("tokens run through the base, of the whole measurement", ge=0)
    settings: str | None = _column("settings of the measurement, JSON", None)

    @model_validator(mode="after")
    def _measured(self) -> Self:
        if self.status == "finished" and None in (self.feature, self.name, self.value):
            raise ValueError("a finished row has feature, name and value")
        return self


ROWS: dict[str, type[SharedRow]] = {"runs": RunRow, "scores": ScoreRow, "features": FeatureRow}
KEYS = {"runs": ("run_id",), "scores": ("run_id", "evaluation", "part", "name"), "features": ("run_id", "name")}

# Columns of the files that lie beside the rows, with their types: pairs that runs scored, documents, stages made.
FRAMES: dict[str, dict[str, tuple[type, str]]] = {
    "stages": {
        "model": (str, "the stage made"),
        "made_from": (str, "checkpoint that it started from"),
        "metric": (str, "what it trains on, measured on rows held out"),
        "before": (float, "the metric of the checkpoint that it started from"),
        "after": (float, "the metric of the stage"),
        "change": (float, "after minus before"),
        "low": (float, "lower end of the change's 90% interval"),
        "high": (float, "upper end of it"),
        "n": (int, "rows held out"),
        "improved": (str, "yes where the whole interval lies above 0, or no"),
        "seconds": (float, "time on the device, seconds"),
    },
    "pairs": {
        "run_id": (str, "the run"),
        "evaluation": (str, "benchmark"),
        "id": (str, "the pair, as the benchmark names it"),
        "subset": (str, "subset of the benchmark"),
        "reward_chosen": (float, "reward of the better response"),
        "reward_rejected": (float, "reward of the worse response"),
        "length_chosen": (int, "length of the better response, characters"),
        "length_rejected": (int, "length of the worse response, characters"),
    },
    "documents": {
        "run_id": (str, "the measurement"),
        "id": (str, "the document: its file and line, or its place in the repository"),
        "domain": (str, "where the document comes from"),
        "tokens": (int, "tokens that counted"),
        "bytes": (int, "bytes of them"),
        "log_p": (float, "log probability of the document, the sum, nats"),
    },
}
