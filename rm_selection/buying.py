"""A purchase as the command one could type: a sweep of train or measure over its candidates.

python -m rm_selection.train -m base=llama3,qwen2 stage=instruct seed=1 until=0.25 study=mine ...
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields

from rm_selection import console
from rm_selection.analysis.calibration import SCORE
from rm_selection.budget import Choice
from rm_selection.budget_settings import BudgetConfig
from rm_selection.config import quoted
from rm_selection.measure_settings import MeasureConfig
from rm_selection.next_runs import PROBE, STOPS, Purchase
from rm_selection.train_settings import DatasetConfig, TrainConfig

_OURS = ("base", "stage", "seed", "until", "study", "objective")  # what the plan says, whatever was given


@dataclass(frozen=True)
class Commands:
    """Makes purchases by commands. words: that `recommend` was given, handed on to those that take them."""

    settings: BudgetConfig
    words: Sequence[str]

    def run(self, commands: Sequence[Sequence[str]]) -> bool:
        """Run commands, one after another; what fails is in the study's records. Whether one ended with an error."""
        codes = []
        for words in commands:
            console.line(f"$ {shlex.join(words)}")
            codes.append(_ended([sys.executable, *words[1:]]))
        return any(code in (1, 2) for code in codes)  # as of our commands; others are of one that was killed

    def commands(self, bought: Purchase, choice: Choice) -> list[list[str]]:
        """Its commands, word by word: one for each stage among its candidates."""
        stages: dict[str, list[str]] = {}
        for i in bought.candidates:
            stages.setdefault(choice.candidates[i].stage, []).append(choice.candidates[i].base.name)
        return [self._command(bought.figure, stage, bases) for stage, bases in stages.items()]

    def _command(self, figure: str, stage: str, bases: Sequence[str]) -> list[str]:
        own = [f"base={','.join(bases)}", f"stage={stage}", f"study={self.settings.study}"]
        if figure == PROBE:
            what = [f"feature={self.settings.probe}", *self._probed()]
            return ["python", "-m", "rm_selection.measure", "-m", *own, *what, *self._handed_on(MeasureConfig)]
        seed = self.settings.seed + (0 if figure in STOPS else int(figure.removeprefix(f"{SCORE}_")) - 1)
        how = [f"objective={self.settings.objective.name}", f"seed={seed}", f"until={STOPS.get(figure, 1.0):g}"]
        return ["python", "-m", "rm_selection.train", "-m", *own, *how, *self._handed_on(TrainConfig)]

    def _probed(self) -> list[str]:
        """Pairs to probe on: those to train on, or, for ratings, those that merge them; a feature may have its own."""
        dataset: DatasetConfig = self.settings.dataset
        files = dataset.train if dataset.repo is None else dataset.name
        pairs = files if dataset.kind == "pairs" else dataset.pairs
        return [quoted("feature.pairs", pairs)] if self.settings.probe == PROBE and pairs is not None else []

    def _handed_on(self, schema: type[MeasureConfig] | type[TrainConfig]) -> list[str]:
        names = {f.name for f in fields(schema)} - set(_OURS)
        return [word for word in self.words if _taken(word, names, trains=schema is TrainConfig)]


def _ended(words: Sequence[str]) -> int:
    """The exit code of a command, which is not left alone at work where this process is to end.

    Raises:
        KeyboardInterrupt: by Ctrl-C, which reaches both, or by SIGTERM, which is handed on; the command has ended.
    """
    process = subprocess.Popen(words, env=os.environ | {"PYTHONUNBUFFERED": "1"})

    def hand_on(*_: object) -> None:
        process.terminate()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, hand_on)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _taken(word: str, names: set[str], trains: bool) -> bool:
    key = word.lstrip("+~").partition("=")[0]
    root = key.partition(".")[0].partition("/")[0]
    inside = key != root and root == "objective"  # the plan names the objective, not what is set inside it
    return root in names or root == "hydra" or (trains and (inside or root == "experiment"))
