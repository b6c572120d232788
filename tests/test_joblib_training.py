"""A sweep in processes of this machine, one of which is killed while it trains a cell."""

import os
import signal

import pandas as pd
import sweeps
from test_train import words, world

__all__ = ["world"]
SEEDS = (1, 2)


def test_the_cell_of_a_killed_worker_starts_again_and_ends_with_the_same_scores(world):
    line = [*words(world, *sweeps.LONG), "seed=1,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    with sweeps.started(world, "undisturbed", line, {}) as calm, sweeps.started(world, "again", line, {}) as sweep:
        killed = sweeps.in_training(sweep, seed=2)
        os.kill(killed, signal.SIGKILL)
        for code, _, told in (calm.end(), sweep.end()):
            assert code == 0, told
    for seed in SEEDS:
        again, undisturbed = (sweeps.scores(one.study, seed) for one in (sweep, calm))
        pd.testing.assert_frame_equal(again, undisturbed, check_exact=True)
