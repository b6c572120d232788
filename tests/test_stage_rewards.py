import numpy as np
import pytest

from rm_selection.errors import RewardFunctionError
from rm_selection.stages.progress import improvement
from rm_selection.stages.rewards import REWARDS, exact_match, last_number, last_word, verified


@pytest.mark.parametrize(
    ("function", "said", "right", "value"),
    [
        (exact_match, "2 plus 2 equals 4 .", "2 Plus 2  equals 4 .", 1),
        (exact_match, "4", "2 plus 2 equals 4 .", 0),
        (last_word, "it is four.", "four", 1),
        (last_word, "it is five.", "four", 0),
        (last_word, "", "", 0),
        (last_number, "So he pays 1,200 dollars.", "1200", 1),
        (last_number, "12 or 13", "12", 0),
        (last_number, "none", "12", 0),
    ],
)
def test_an_answer_is_verified(function, said, right, value):
    assert function(said, right) == value


def test_several_functions_add_up():
    assert verified(["exact_match", "last_word"], ["a b", "c b"], ["a b", "a b"]) == [2.0, 1.0]


def test_a_function_that_gives_no_number_is_refused_by_name(monkeypatch):
    monkeypatch.setitem(REWARDS, "odd", lambda *_: float("inf"))
    with pytest.raises(RewardFunctionError, match=r"reward odd gave inf for 'x'"):
        verified(["odd"], ["x"], ["y"])


def test_an_improvement_is_paired_and_counts_only_where_the_interval_lies_above_zero():
    before, rng = np.arange(50.0), np.random.default_rng(0)
    clear = improvement("sft", before, before + 1 + rng.normal(0, 0.1, 50))
    assert clear.improved
    assert clear.high - clear.low == pytest.approx(2 * 1.645 * 0.1 / 50**0.5, rel=0.2)
    assert not improvement("sft", before, before + rng.normal(0, 1, 50) - 0.2).improved
    assert not improvement("sft", before[:1], before[:1] + 1).improved
