"""Every error a user can cause, each one sentence that says what to do.

ValueError
└── SelectionError          base of all; an entry point prints it and exits with code 2
    ├── ConfigError         a setting is unknown, missing or outside what is allowed
    ├── TableError          a table or file breaks its schema: file, row and column are named
    ├── DataError           preference data break their schema, cannot be had, or overlap the evaluation
    ├── RunError            a run's record is damaged, or was made with other settings
    ├── StudyError          a study folder lacks what a command needs
    ├── ModelError          a model cannot be had from where its checkpoint points
    │   ├── UnpublishedStage    a base has no checkpoint of that stage; those it has are named
    │   ├── MissingModelError   no such folder, repository or revision, or no network
    │   ├── GatedModelError     a repository wants its licence accepted first
    │   ├── DamagedModelError   a file is cut short, lacks weights or is no JSON
    │   ├── TemplateError       its chat template or tokenizer cannot write a conversation
    │   ├── UnsafeModelError    loading would run code: pickled weights, or code of the repository
    │   └── ParityError         scores change with the batch, the order or a reload
    ├── TrainingError       training cannot go on
    │   ├── NonFiniteLossError  the loss or a gradient became NaN or infinite: the step is named
    │   ├── DivergedError       the loss ended far above where it began
    │   ├── RewardFunctionError a function that verifies answers raised, or gave what is no number
    │   └── OutOfMemoryError    the device has too little memory
    ├── JobLostError        a job of a sweep ended without a result: its worker was killed
    ├── MeasurementError    a feature of a base cannot be measured
    ├── PushError           a finished model could not be uploaded; it is still where it was saved
    ├── PublishError        dashboards could not be put on W&B; their specification is still in its files
    └── FitError            a statistic cannot be estimated from these data, and why
"""


class SelectionError(ValueError):
    """Base of every error that is the input's fault rather than the program's."""


class ConfigError(SelectionError):
    """A setting is unknown, missing or outside what is allowed."""


class TableError(SelectionError):
    """A table or file breaks its schema."""


class DataError(SelectionError):
    """Preference data break their schema, cannot be had, or overlap the evaluation.

    kind: "bad data", "missing repository", "gated" or "no network", for the record of a run that ends here.
    """

    def __init__(self, message: str, kind: str = "bad data") -> None:
        super().__init__(message)
        self.kind = kind


class RunError(SelectionError):
    """A run's record is damaged, or was made with other settings."""


class StudyError(SelectionError):
    """A study folder lacks what a command needs."""


class JobLostError(SelectionError):
    """A job of a sweep ended without a result: its worker was killed."""


class MeasurementError(SelectionError):
    """A feature of a base cannot be measured."""


class PushError(SelectionError):
    """A finished model could not be uploaded; it is still where it was saved."""


class PublishError(SelectionError):
    """Dashboards could not be put on W&B; their specification is still in its files."""


class FitError(SelectionError):
    """A statistic cannot be estimated from these data."""


class ModelError(SelectionError):
    """A model cannot be had from where its checkpoint points."""


class UnpublishedStage(ModelError):  # noqa: N818 - a fact about a publisher rather than a failure
    """A base has no checkpoint of that stage."""


class MissingModelError(ModelError):
    """There is no such folder, repository or revision, or no network to reach it."""


class GatedModelError(ModelError):
    """A repository wants its licence accepted first."""


class TemplateError(ModelError):
    """A chat template or tokenizer cannot write a conversation."""


class DamagedModelError(ModelError):
    """A file of a model is cut short, lacks weights or is not what it says."""


class UnsafeModelError(ModelError):
    """Loading would run code: pickled weights, or code that the repository brings."""


class ParityError(ModelError):
    """Scores change with the batch, the order or a reload."""


class TrainingError(SelectionError):
    """Training cannot go on."""


class NonFiniteLossError(TrainingError):
    """The loss or a gradient became NaN or infinite. steps: optimiser steps of the whole training, 0 if unknown."""

    def __init__(self, message: str, steps: int = 0) -> None:
        super().__init__(message)
        self.steps = steps


class DivergedError(TrainingError):
    """The loss ended far above where it began."""


class RewardFunctionError(TrainingError):
    """A function that verifies answers raised, or gave what is no number."""


class OutOfMemoryError(TrainingError):
    """The device has too little memory."""
