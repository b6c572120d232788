"""What each YAML in conf/ holds, typed, with the meaning and range of every setting.

Plain dataclasses, since Hydra cannot structure frozen ones. A field without `in_group` is a setting of its own; one
with it is filled by a folder of conf/: `objective=regression` reads conf/objective/regression.yaml.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from omegaconf import MISSING

from rm_selection.errors import ConfigError

CATEGORIES = ("chat", "chat_hard", "safety", "reasoning")  # of RewardBench
PUBLISHED = "published"  # the study of shipped figures
OBJECTIVES = ("regression", "bradley_terry")
FAMILY_RULE = "in a study of one's own, bases of one family and tokens share the largest one's presence scores"
RESULTS = "in a study of one's own, folders that others wrote with share, to take their runs too: [a,b]"
MIX = "take runs of others that were made in another way than the study's, and say so"
SEARCHES = ("grid", "climb")  # for the learning rate


def setting(text: str) -> Any:
    """A field whose default lies in YAML; `text` says what it is, its unit and what it allows (shown by --help)."""
    return field(default=MISSING, metadata={"help": text})


def in_group(text: str, several: bool = False, kinds: Mapping[str, type[Any]] | None = None) -> Any:
    """A field that a folder of conf/ fills; `text` says what it chooses (shown by --help).

    several: files of the folder add to each other, so [a,b] may be chosen.
    kinds: the dataclass of each file, where they differ; the field is then Any and typed by its `name`.
    """
    return field(default=MISSING, metadata={"help": text, "group": not several, "kinds": kinds or {}})


def sequence(text: str) -> Any:
    """A field that takes several values in order: name=a,b is one list, with -m too, never a sweep over a and b."""
    return field(default=MISSING, metadata={"help": text, "sequence": True})


@dataclass
class ObjectiveConfig:
    """conf/objective/: what a reward model is trained to do."""

    name: str = setting("bradley_terry or regression")
    rates: list[float] = setting("learning rates to try; the best on validation wins")
    search: str = setting("grid (every rate to the end) or climb (from the middle one to the peak)")
    epochs: int = setting("passes over the data, 1 or more")
    margin: bool = setting("subtract a pair's margin inside the Bradley-Terry loss")
    centering: float | None = setting("weight of the squared mean reward in the Bradley-Terry loss; null: none")

    def __post_init__(self) -> None:
        if self.name not in OBJECTIVES:
            raise refused("objective.name", self.name, " or ".join(OBJECTIVES))
        if self.search not in SEARCHES:
            raise refused("objective.search", self.search, " or ".join(SEARCHES))
        within("objective.epochs", self.epochs, 1, 1_000_000)
        if not self.rates:
            raise refused("objective.rates", "[]", "one learning rate or more, as [1e-6,3e-6]")
        for rate in self.rates:
            above_zero("objective.rates", rate)
        if len({f"{rate:g}" for rate in self.rates}) < len(set(self.rates)):  # each has a folder of that name
            raise refused("objective.rates", self.rates, "rates that differ in their first six digits")
        if self.centering is not None and not (math.isfinite(self.centering) and self.centering >= 0):
            raise refused("objective.centering", self.centering, "a weight, 0 or more, or null")


@dataclass
class StudyConfig:
    """What every command on a study takes."""

    study: str = setting("name of the study; `published` is the one of shipped figures")
    output: str = setting("folder that holds the studies")

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.study):
            raise refused("study", self.study, "a folder name of letters, digits, dot, dash and underscore")
        if not self.output.strip():
            raise refused("output", self.output, "a folder")

    @property
    def folder(self) -> Path:
        """Where the study lies."""
        return Path(self.output) / self.study


@dataclass
class RegressConfig(StudyConfig):
    """conf/regress.yaml."""

    evaluation: str | None = setting("benchmark whose score counts, in a study of one's own; null: the only one")
    family_rule: bool = setting(FAMILY_RULE)
    results: Any = sequence(RESULTS)
    mix_protocols: bool = setting(MIX)
    resamples: int = setting("bootstrap resamples of families for every interval, 100 to 100000")
    jobs: int = setting("processes to use, 1 or more")
    seed: int = setting("seed of folds and resamples, 0 or more")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_family_rule(self.family_rule, self.study)
        self.results = _folders(self.results, self.study)
        within("resamples", self.resamples, 100, 100_000)
        within("jobs", self.jobs, 1, 1024)
        within("seed", self.seed, 0, 2**32 - 1)


_OF_A_BUDGET = (
    *("dataset", "training", "hardware", "stage", "tracking", "dry_run", "probe", "counts", "worth", "device"),
    *("policy", "use", "same_tokenizer", "second_dataset"),
)


@dataclass
class RecommendConfig(StudyConfig):
    """conf/recommend.yaml."""

    ELSEWHERE: ClassVar = dict.fromkeys(_OF_A_BUDGET, "it is for a choice under a budget; add budget_gpu_hours=HOURS")

    objective: ObjectiveConfig = in_group("loss of the reward model: regression or bradley_terry")
    candidates: str | None = setting(
        "CSV of candidates (model, params_b, benchmarks); null: the shipped pool and the 40"
    )
    category: Any = setting(f"categories of RewardBench that count, one or [a,b]: {', '.join(CATEGORIES)}; null: all")
    evaluation: str | None = setting("benchmark whose score counts, in a study of one's own; null: the only one")
    family_rule: bool = setting(FAMILY_RULE)
    results: Any = sequence(RESULTS)
    mix_protocols: bool = setting(MIX)
    max_params_b: float | None = setting("largest size, billions of parameters; null: any")
    min_params_b: float | None = setting("smallest size, billions of parameters; null: any")
    licence: Any = setting("licences to allow, one or [a,b]; null: any")
    exclude_family: Any = setting("families to leave out, one or [a,b]; null: none")
    top: int = setting("rows to print, 1 or more; the table holds all")
    seed: int = setting("seed of the simulated rankings, 0 or more")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.category = _categories(self.category, self.study)
        self.licence = names("licence", self.licence)
        self.exclude_family = names("exclude_family", self.exclude_family)
        if self.candidates is not None and not self.candidates.strip():  # candidates=$FILE where FILE is unset
            raise refused("candidates", self.candidates, "a CSV file, or null for the shipped candidates")
        if self.candidates is not None and self.study != PUBLISHED:
            own = f"null: study={self.study} ranks the checkpoints it trained and measured"
            raise refused("candidates", self.candidates, own)
        _check_family_rule(self.family_rule, self.study)
        self.results = _folders(self.results, self.study)
        for name in ("max_params_b", "min_params_b"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise refused(name, value, "a size above 0, in billions of parameters")
        if self.max_params_b is not None and self.min_params_b is not None and self.min_params_b > self.max_params_b:
            raise refused("min_params_b", self.min_params_b, f"at most max_params_b={self.max_params_b:g}")
        within("top", self.top, 1, 100_000)
        within("seed", self.seed, 0, 2**32 - 1)


@dataclass
class ReportConfig(StudyConfig):
    """conf/report.yaml."""


@dataclass
class StatusConfig(StudyConfig):
    """conf/status.yaml."""

    follow: bool = setting("show it again and again until nothing runs or waits; Ctrl-C ends it")
    every: float = setting("seconds from one view to the next, 0.1 or more")
    rows: int = setting("most rows of a list of cells or bases, 1 or more")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.every) and self.every >= 0.1):
            raise refused("every", self.every, "seconds, 0.1 or more")
        within("rows", self.rows, 1, 100_000)


@dataclass
class ShareConfig(StudyConfig):
    """conf/share.yaml."""

    to: str | None = setting("folder to write; null: share/ in the study")
    licence: str = setting("licence of the figures, as the Hub names it, such as cc-by-4.0")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.study == PUBLISHED:
            raise refused("study", self.study, "a study of your own: the shipped figures are shared already")
        if self.to is not None and not self.to.strip():  # to=$FOLDER where FOLDER is unset
            raise refused("to", self.to, "a folder, or null for share/ in the study")
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", self.licence):
            raise refused("licence", self.licence, "a name such as cc-by-4.0 or apache-2.0")

    @property
    def target(self) -> Path:
        """Where it is written."""
        return self.folder / "share" if self.to is None else Path(self.to)


def _folders(given: Any, study: str) -> list[str]:
    """The folders of others; none in the study of shipped figures."""
    values: Sequence[Any] = given if isinstance(given, (list, tuple)) else [given]
    if not all(isinstance(one, str) and one.strip() for one in values):
        raise refused("results", given, "folders that share wrote, as [a,b]")
    if values and study == PUBLISHED:
        raise refused("results", given, "it with study=NAME: the shipped figures were made in another way")
    return list(dict.fromkeys(values))


def _categories(given: Any, study: str) -> tuple[str, ...]:
    """Those of RewardBench that count, in their order; all where none is named, none in a study of one's own."""
    wanted = names("category", given)
    if set(wanted) - set(CATEGORIES):
        raise refused("category", given, f"one or several of {', '.join(CATEGORIES)}")
    if study != PUBLISHED and wanted and set(wanted) != set(CATEGORIES):
        raise refused("category", given, "null: in a study of your own the score of evaluation=... counts")
    return tuple(name for name in CATEGORIES if study == PUBLISHED and name in (wanted or CATEGORIES))


def _check_family_rule(wanted: bool, study: str) -> None:
    if wanted and study == PUBLISHED:
        raise refused("family_rule", True, "false: the shipped figures hold no presence scores")


def refused(name: str, value: object, allowed: str) -> ConfigError:
    """The error that says which value a setting got and which it takes."""
    return ConfigError(f"{name}={shown(value)} is not allowed; give {allowed}")


def within(name: str, value: int, low: int, high: int) -> None:
    """Refuse a whole number outside `low` to `high`.

    Raises:
        ConfigError: it lies outside.
    """
    if not low <= value <= high:
        raise refused(name, value, f"a whole number from {low} to {high}")


def above_zero(name: str, value: float) -> None:
    """Refuse a number that is not above 0, or no number.

    Raises:
        ConfigError: it is not.
    """
    if not (math.isfinite(value) and value > 0):
        raise refused(name, value, "a number above 0")


def names(name: str, value: Any) -> tuple[str, ...]:
    """The names that a setting was given, one or several, in small letters.

    Raises:
        ConfigError: one of them is empty or no text.
    """
    if value is None or value == ():  # a list that is empty was given; a tuple is what this returned
        return ()
    values: Sequence[Any] = value if isinstance(value, (list, tuple)) else [value]
    if not values or not all(isinstance(v, str) and v.strip() for v in values):
        raise refused(name, value, "one name, or several as [a,b]")
    return tuple(v.strip().lower() for v in values)


def typed_word(name: str, value: object) -> str:
    """A setting as one types it: name=value, several as [a,b]."""
    if isinstance(value, (list, tuple)):
        return f"{name}=[{','.join(map(str, value))}]"
    if isinstance(value, bool):
        return f"{name}={str(value).lower()}"
    return f"{name}={str(value).removesuffix('.0') if isinstance(value, float) else shown(value)}"


def shown(value: object) -> str:
    """A setting's value as one types it."""
    return "null" if value is None else str(value)
