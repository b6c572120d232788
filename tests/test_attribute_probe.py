"""Ridge regression of ratings against a plain nested loop, and what its figures mean."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from rm_selection.errors import MeasurementError
from rm_selection.features.attribute_probe import probe, r2, same_prompt_pairs, spearman, standardised
from rm_selection.features.folds import nested
from rm_selection.features.pair_probe import PENALTIES
from rm_selection.features.rating_scores import rating_scores

NAMES = ("half_token", "last_token")
PROMPTS = [str(i // 2) for i in range(80)]
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(80, 2, 6)).astype(np.float32)
RATINGS = 3 + FEATURES[:, 1] @ RNG.normal(size=6) + 0.5 * RNG.normal(size=80)


def test_the_probe_is_a_plain_nested_loop():
    folds = nested(PROMPTS, 3, 2, 0)
    y = (RATINGS - RATINGS.mean()) / RATINGS.std()
    views = [standardised(FEATURES[:, view]) for view in range(2)]
    expected = np.zeros(80)
    for outer in range(3):
        errors = {}
        for view, X in enumerate(views):
            for penalty in PENALTIES:
                total = 0.0
                for inner in range(2):
                    own = folds.inner_train[:, outer, inner] > 0
                    held = folds.inner_held[:, outer, inner] > 0
                    total += ((Ridge(6 * penalty).fit(X[own], y[own]).predict(X[held]) - y[held]) ** 2).sum()
                errors[view, penalty] = total
        view, penalty = min(errors, key=errors.__getitem__)
        own, held = folds.train[:, outer] > 0, folds.held[:, outer] > 0
        expected[held] = Ridge(6 * penalty).fit(views[view][own], y[own]).predict(views[view][held])
    found = probe(FEATURES, NAMES, RATINGS, folds)
    np.testing.assert_allclose(found.values, expected * RATINGS.std() + RATINGS.mean(), atol=1e-4)


def test_the_figures_are_those_of_sklearn_and_scipy():
    predicted = RATINGS + RNG.normal(size=80)
    assert r2(RATINGS, predicted) == pytest.approx(r2_score(RATINGS, predicted))
    assert spearman(RATINGS, predicted) == pytest.approx(spearmanr(RATINGS, predicted).statistic)
    assert spearman(RATINGS, np.ones(80)) == 0


def test_answers_to_one_prompt_that_are_rated_differently_are_pairs():
    pairs = same_prompt_pairs(["a", "a", "b", "a", "b"], np.array([1.0, 2.0, 5.0, 2.0, 5.0]))
    assert pairs.tolist() == [[1, 0], [3, 0]]


def test_every_attribute_has_its_figures_and_intervals():
    rated = RATINGS.copy()
    rated[::5] = np.nan
    columns = {
        "help": RATINGS,
        "partly": rated,
        "same": np.ones(80),
        "rare": np.where(np.arange(80) < 9, RATINGS, np.nan),
    }
    values, details = rating_scores(FEATURES, NAMES, columns, PROMPTS, (5, 4, 0))
    assert {"r2_help", "spearman_help", "accuracy_help", "r2_partly", "spearman_partly"} <= set(values)
    assert values["r2_help"] > 0.5
    assert values["accuracy_help"] > 75
    assert details["n"] == {"help": 80, "partly": 64, "same": 80, "rare": 9}
    assert details["left_out"]["same"] == "all of its 80 ratings are 1; give ratings that differ"
    assert details["left_out"]["rare"].startswith("9 rows are left to probe on, and 20 are the fewest")
    for name, value in values.items():
        assert details["intervals"][name]["low"] <= value <= details["intervals"][name]["high"]


def test_no_attribute_that_can_be_probed_is_refused():
    with pytest.raises(MeasurementError, match="no attribute can be probed \\(same: all of its 80 ratings are 1"):
        rating_scores(FEATURES, NAMES, {"same": np.ones(80)}, PROMPTS, (5, 4, 0))
