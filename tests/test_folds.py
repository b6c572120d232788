import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rm_selection.errors import MeasurementError
from rm_selection.features.folds import nested


@given(st.lists(st.sampled_from("abcdefghij"), min_size=40, max_size=80), st.integers(0, 2**32 - 1))
def test_no_prompt_is_on_both_sides_of_a_split(letters, seed):
    prompts = [*letters, *"abcdefghij"]
    folds = nested(prompts, 5, 4, seed)
    assert (folds.held.sum(axis=1) == 1).all()
    assert (folds.inner_held.sum(axis=2) == folds.train).all()
    for prompt in set(prompts):
        rows = np.array([p == prompt for p in prompts])
        assert not np.ptp(folds.held[rows], axis=0).any()
        assert not np.ptp(folds.inner_held[rows], axis=0).any()
    assert not (folds.inner_train * folds.inner_held).any()
    assert not (folds.inner_train * folds.held[:, :, None]).any()
    assert folds.inner_train.any(axis=0).all()


def test_the_same_seed_gives_the_same_folds_and_another_does_not():
    prompts = [str(i) for i in range(50)]
    one, same, other = (nested(prompts, 5, 4, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.inner_held, same.inner_held)
    assert (one.held != other.held).any()


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        (["a"] * 30, "30 rows have 1 different prompts, and 5 folds by prompt need 5"),
        (list("abcd") * 10, "40 rows have 4 different prompts"),
        (list("abcdefghij"), "10 rows are left to probe on, and 20 are the fewest"),
    ],
)
def test_too_few_rows_or_prompts_are_refused(prompts, words):
    with pytest.raises(MeasurementError, match=words):
        nested(prompts, 5, 4, 0)


def test_few_prompts_are_enough_for_few_folds():
    assert nested(list("abcd") * 6, 2, 2, 0).held.sum() == 24
