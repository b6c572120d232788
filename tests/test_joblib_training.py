"""A sweep in processes of this machine, one of which is killed while it trains a cell."""

import os
import signal
from pathlib import Path
from threading import Thread

import pandas as pd
import sweeps
from test_train import argv, call, words, world

from rm_selection import train

__all__ = ["argv", "world"]


def kill(study: Path, seed: int) -> None:
    """The process that trains that cell, in training."""
    os.kill(sweeps.until(lambda: sweeps.trained_by(study, seed), patience=240), signal.SIGKILL)


def test_the_cell_of_a_killed_worker_starts_again_and_ends_with_the_same_scores(world, capfd):
    line, outputs = [*words(world, *sweeps.LONG), "training.max_steps=60"], world / "outputs"
    killer = Thread(target=kill, args=(outputs / "again", 2))
    killer.start()
    code = call(train, "-m", *line, "seed=1,2", "study=again", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    killer.join()
    assert code == 0, capfd.readouterr().err
    assert sweeps.finished(outputs / "again") == {1, 2}
    assert call(train, *line, "seed=2", "study=undisturbed") == 0
    again, undisturbed = (sweeps.scores(outputs / study, 2) for study in ("again", "undisturbed"))
    pd.testing.assert_frame_equal(again, undisturbed, check_exact=True)
