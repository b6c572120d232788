"""The nested probe against a plain loop with scikit-learn, and what it must not see."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from rm_selection.features.folds import Folds, nested
from rm_selection.features.pair_probe import PENALTIES, probe, scaled

NAMES = ("half_token", "last_token")


def views(differences: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(NAMES, differences.swapaxes(0, 1), strict=True))


def pairs(n: int = 80, d: int = 6, seed: int = 0, signal: float = 1.5) -> np.ndarray:
    """(n, 2, d) differences; the second view tells which side was chosen."""
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(n, 2, d))
    found[:, 1] += signal * rng.normal(size=d) / np.sqrt(d)
    return found.astype(np.float32)


def sklearn_margins(X: np.ndarray, train: np.ndarray, penalty: float) -> np.ndarray:
    own = X[train > 0]
    model = LogisticRegression(C=1 / (2 * penalty), fit_intercept=False, solver="newton-cholesky", tol=1e-12)
    return X @ model.fit(np.vstack([own, -own]), np.repeat([1, 0], len(own))).coef_[0]


def plain_loop(differences: np.ndarray, folds: Folds) -> tuple[np.ndarray, list[tuple[str, float]]]:
    found, choices = np.zeros(len(differences)), []
    both = [scaled(differences[:, view]) for view in range(2)]
    width = differences.shape[2]
    for outer in range(folds.held.shape[1]):
        losses = {}
        for view, X in enumerate(both):
            for penalty in PENALTIES:
                total = 0.0
                for inner in range(folds.inner_held.shape[2]):
                    margins = sklearn_margins(X, folds.inner_train[:, outer, inner], penalty * width)
                    total += np.logaddexp(0, -margins[folds.inner_held[:, outer, inner] > 0]).sum()
                losses[view, penalty] = total
        view, penalty = min(losses, key=losses.__getitem__)
        held = folds.held[:, outer] > 0
        found[held] = sklearn_margins(both[view], folds.train[:, outer], penalty * width)[held]
        choices.append((NAMES[view], penalty))
    return found, choices


def test_the_probe_is_a_plain_nested_loop():
    differences = pairs()
    folds = nested([str(i // 2) for i in range(len(differences))], 3, 2, 0)
    margins, choices = plain_loop(differences, folds)
    found = probe(views(differences), folds)
    assert found.choices == choices
    np.testing.assert_allclose(found.margins, margins, atol=1e-4)


def test_prompts_seen_in_training_do_not_help():
    n, prompts = 60, 15
    label = np.random.default_rng(0).choice([-1, 1], prompts)
    one_hot = np.eye(prompts)[np.arange(n) % prompts] * label[np.arange(n) % prompts][:, None]
    differences = np.stack([one_hot, one_hot], axis=1)  # what is chosen can only be known by heart
    by_prompt = nested([str(i % prompts) for i in range(n)], 5, 4, 0)
    by_row = nested([str(i) for i in range(n)], 5, 4, 0)
    assert not probe(views(differences), by_prompt).margins.any()
    assert (probe(views(differences), by_row).margins > 0).all()


def test_the_choice_does_not_flatter_noise():
    right = [probe(views(pairs(200, 6, seed, 0)), nested([str(i) for i in range(200)], 5, 4, 0)) for seed in range(6)]
    assert abs(np.mean([(one.margins > 0).mean() for one in right]) - 0.5) < 0.05


def test_the_sign_of_a_feature_does_not_matter():
    differences, folds = pairs(), nested([str(i) for i in range(80)], 5, 4, 0)
    flipped = differences.copy()
    flipped[:, :, 0] *= -1
    np.testing.assert_allclose(
        probe(views(flipped), folds).margins, probe(views(differences), folds).margins, atol=1e-3
    )


def test_a_narrow_view_is_chosen_where_it_alone_tells():
    likelihoods = np.random.default_rng(2).normal([3, 0], size=(200, 2))
    folds = nested([str(i) for i in range(200)], 5, 4, 0)
    found = probe(views(pairs(200, signal=0)) | {"likelihoods": likelihoods}, folds)
    assert {view for view, _ in found.choices} == {"likelihoods"}
    np.testing.assert_allclose((found.margins > 0).mean(), (likelihoods[:, 0] > 0).mean(), atol=0.02)
