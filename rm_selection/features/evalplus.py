"""EvalPlus (HumanEval+, MBPP+) on a base, in a Python environment of its own.

It runs programs that the base wrote, and wants other packages than we do: hence the environment, which is made where
it is absent, and hence only on request (feature.evalplus=FOLDER).
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

from rm_selection import runs
from rm_selection.checkpoint_folder import PICKLES, fingerprint
from rm_selection.checkpoints import Checkpoint
from rm_selection.errors import MeasurementError
from rm_selection.features import Place
from rm_selection.features.import_evalplus import read
from rm_selection.features.scores import Score

VERSION = "0.3.1"
# EvalPlus loads a base with a device map and its slow tokenizer, but does not ask for what that takes. Versions are
# ours, but for sentencepiece: newer ones refuse the protobuf 5 that EvalPlus's other backends hold.
LIKE_OURS = ("torch", "transformers", "accelerate", "tiktoken")
SENTENCEPIECE = "sentencepiece==0.2.1"
_ASK = "import importlib.metadata as m; print(m.version('evalplus'))"


def run(checkpoint: Checkpoint, dataset: str, environment: Path, place: Place) -> dict[str, Score]:
    """pass@1 of greedy answers on the base and the plus tests; what is there already is not run again.

    Args:
        checkpoint: the base.
        dataset: humaneval or mbpp.
        environment: folder of a virtual environment, made where absent.
        place: of this measurement; EvalPlus takes its device by itself.

    Returns:
        a score a benchmark, by its name.

    Raises:
        MeasurementError: the environment cannot be made, or EvalPlus fails; its last line is told.
    """
    python = environment.expanduser().resolve() / "bin" / "python"
    version = _version(python) or _make(environment, python)
    own = checkpoint.revision or fingerprint(Path(checkpoint.source))
    dtype = "float32" if place.precision == "float32" else "bfloat16"
    made_with = {"checkpoint": own, "evalplus": version, "dtype": dtype}
    root = place.folder.resolve() / "evalplus" / runs.digest(made_with)
    if not (done := _results(root, dataset)):
        root.mkdir(parents=True, exist_ok=True)
        what = ["--model", _model(checkpoint), "--dataset", dataset, "--root", str(root)]
        how = ["--backend", "hf", "--greedy", "--dtype", dtype]
        said = _evaluate([str(python), "-m", "evalplus.evaluate", *what, *how], dataset, root)
        if not (done := _results(root, dataset)):
            raise MeasurementError(f"EvalPlus wrote no results of {dataset} below {root}: {said}")
    try:
        data = json.loads(done.read_text(encoding="utf-8"))
    except ValueError as error:
        raise MeasurementError(f"{done} is no JSON ({error}); remove it to evaluate again") from error
    return read(done, data, version)


def _evaluate(command: list[str], dataset: str, root: Path) -> str:
    """Run EvalPlus; the last line it said."""
    try:
        return _call(command, root)
    except MeasurementError as error:
        if "urllib.error" not in str(error):
            raise
        way = f"it downloads its problems once; give it a network, or their file as {dataset.upper()}_OVERRIDE_PATH"
        raise MeasurementError(f"{error}; {way}") from error


def _results(root: Path, dataset: str) -> Path | None:
    return next(iter(sorted((root / dataset).glob("*eval_results.json"))), None)


def _model(checkpoint: Checkpoint) -> str:
    """A folder with the very weights of the checkpoint; EvalPlus itself takes no revision and might load pickles."""
    if checkpoint.revision is None:
        return str(Path(checkpoint.source).resolve())
    from huggingface_hub import snapshot_download

    return str(snapshot_download(checkpoint.source, revision=checkpoint.revision, ignore_patterns=list(PICKLES)))


def _version(python: Path) -> str | None:
    """The EvalPlus of an environment; None where there is none."""
    if not python.is_file():
        return None
    try:
        found = subprocess.run([python, "-c", _ASK], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def _make(environment: Path, python: Path) -> str:
    """Make the environment, with the packages that load the base here too."""
    ours = [f"{name}=={importlib.metadata.version(name).split('+')[0]}" for name in LIKE_OURS]
    packages = [f"evalplus=={VERSION}", *ours, SENTENCEPIECE]
    install = [str(python), "-m", "pip", "install", *packages]
    for command in ([sys.executable, "-m", "venv", str(environment)], install):
        try:
            _call(command)
        except MeasurementError as error:
            raise MeasurementError(
                f"the environment of EvalPlus in {environment} cannot be made ({error}); "
                f"make it yourself: python -m venv {environment}, then pip install {' '.join(packages)}"
            ) from error
    return VERSION


def _call(command: list[str], folder: Path | None = None) -> str:
    """Run a program to its end; the last line it said.

    Raises:
        MeasurementError: it cannot be started or ends with an error.
    """
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, errors="replace")
    except OSError as error:
        raise MeasurementError(f"{command[0]} cannot be started: {error.strerror}") from error
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["it said nothing"]
    if done.returncode:
        raise MeasurementError(f"{Path(command[0]).name} {command[1]} {command[2]} failed: {lines[-1][:300]}")
    return lines[-1][:300]
