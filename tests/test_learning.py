"""The search for a learning rate: a climb beside the whole grid."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_training import CHATS, QUICK, TRAIN, VALIDATION, base  # noqa: F401 - base is a fixture

from rm_selection.errors import NonFiniteLossError
from rm_selection.learning import Search, climb, learn
from rm_selection.protocol import SHARES, Protocol
from rm_selection.reward_model import load
from rm_selection.scoring import score
from rm_selection.trials import Data
from rm_selection.watch import Watch

RATES = (1e-6, 3e-3, 1e-5, 1e-4, 1e-2)
LONG = Protocol(**vars(QUICK) | {"epochs": 4.0, "checkpoint_every": 2})  # 28 steps: 3/8 are 12, 5/8 are 18


def found(base, folder: Path, kind: str, hear=lambda line: None, resume: bool = False):
    (folder / "state").mkdir(parents=True, exist_ok=True)
    data = Data(TRAIN, VALIDATION)
    return learn(lambda: load(base), data, LONG, Search(RATES, kind), folder / "state", hear, resume)


@pytest.fixture(scope="module")
def grid(base, tmp_path_factory):
    return found(base, tmp_path_factory.mktemp("grid"), "grid")


def test_a_climb_ends_with_the_model_of_the_grid_and_the_rates_beyond_the_peak_are_not_trained(base, grid, tmp_path):
    (wide, told), (narrow, climbed) = grid, found(base, tmp_path, "climb")
    assert climbed["rate"] == told["rate"]
    assert climbed["evaluations"] == told["evaluations"], "what goes on ends as if it had never stopped"
    assert np.array_equal(score(narrow, CHATS).values, score(wide, CHATS).values)
    steps = {trial["rate"]: trial["evaluations"][-1]["step"] for trial in climbed["trials"]}
    assert sorted(steps.values()) == [12, 18, 28, 28], "the lowest rate was never begun"
    assert (tmp_path / "log.jsonl").read_text().count('"loss"') == 28


def test_a_killed_climb_goes_on_where_it_stopped_and_nowhere_else(base, grid, tmp_path):
    """What was trained beyond a comparison before the kill is not compared after it: the same rates end alike."""
    told = found(base, tmp_path / "whole", "climb")[1]
    heard: list[float] = []

    def hear(line: dict[str, float]) -> None:
        heard.append(line["step"])
        if line["step"] == 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        found(base, tmp_path, "climb", hear)
    again: list[float] = []
    rm, after = found(base, tmp_path, "climb", lambda line: again.append(line["step"]), resume=True)
    assert np.array_equal(score(rm, CHATS).values, score(grid[0], CHATS).values)
    assert min(again) > 18, "what came before the last comparison is not trained again"
    assert [(one["rate"], one["evaluations"]) for one in after["trials"]] == [
        (one["rate"], one["evaluations"]) for one in told["trials"]
    ]


def broken_above(monkeypatch, limit: float, step: int) -> list[tuple[float, int]]:
    """Rates above the limit diverge at that step; the list hears the rate and step of all that is trained."""
    real, trained = Watch.on_log, []

    def on_log(self, args, state, control, **kwargs):
        if "loss" in kwargs["logs"]:
            trained.append((args.learning_rate, state.global_step))
            if args.learning_rate > limit and state.global_step >= step:
                kwargs["logs"]["loss"] = math.nan
        real(self, args, state, control, **kwargs)

    monkeypatch.setattr(Watch, "on_log", on_log)
    return trained


@pytest.mark.parametrize("kind", ["grid", "climb"])
def test_a_rate_that_diverges_costs_itself_only(base, tmp_path, monkeypatch, capsys, kind):
    broken_above(monkeypatch, 1e-3, step=5)
    _, told = found(base, tmp_path, kind)
    assert told["rate"] == 1e-4
    lost = [one for one in told["trials"] if "diverged" in one]
    assert [one["rate"] for one in lost] == ([3e-3, 1e-2] if kind == "grid" else [3e-3]), "the climb never came to 1e-2"
    assert lost[0]["diverged"].startswith("loss is nan at step 5")
    assert [one["step"] for one in lost[0]["evaluations"]] == [2, 4]
    assert "value" not in lost[0]
    assert "learning rate 0.003 is out: loss is nan" in capsys.readouterr().out


def test_a_search_that_goes_on_does_not_train_again_what_diverged_and_ends_alike(base, tmp_path, monkeypatch):
    """Killed after the best so far diverged between the last comparison and the end."""
    trained = broken_above(monkeypatch, 1e-3, step=20)
    whole = found(base, tmp_path / "whole", "climb")[1]
    trained.clear()

    def hear(line: dict[str, float]) -> None:
        if line["step"] == 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        found(base, tmp_path, "climb", hear)
    assert (3e-3, 20) in trained
    trained.clear()
    _, told = found(base, tmp_path, "climb", resume=True)
    assert not [step for rate, step in trained if rate == 3e-3]

    def known(told):
        return [(one["rate"], one.get("diverged"), one["evaluations"]) for one in told["trials"]]

    assert (told["rate"], known(told)) == (whole["rate"], known(whole))


def test_a_climb_whose_last_two_rates_diverge_takes_one_of_the_others(base, tmp_path, monkeypatch):
    broken_above(monkeypatch, 5e-5, step=20)
    _, told = found(base, tmp_path, "climb")
    assert told["rate"] <= 1e-5
    assert told["evaluations"][-1]["step"] == 28


def test_only_where_all_rates_diverge_does_the_search_fail(base, tmp_path, monkeypatch):
    trained = broken_above(monkeypatch, 0.0, step=3)
    with pytest.raises(NonFiniteLossError, match=r"all 5 learning rates diverged, .* 1e-06 too: loss is nan at step 3"):
        found(base, tmp_path, "climb")
    trained.clear()
    with pytest.raises(NonFiniteLossError, match="all 5 learning rates"):
        found(base, tmp_path, "climb", resume=True)
    assert len({rate for rate, _ in trained}) == 5, "a failed cell is tried again"


class Played:
    """Trials whose validation is known: of each rate a value at first and one later, and how far it came."""

    def __init__(self, early, late):
        self.early, self.late, self.shares = early, late, dict.fromkeys(early, 0.0)

    def ranked(self, rates, share):
        for rate in rates:
            self.shares[rate] = max(self.shares[rate], share)
        return sorted(rates, key=lambda rate: -(self.early if share <= 0.375 else self.late)[rate])


@st.composite
def one_peak(draw, least):
    """Values that rise to one peak and fall beyond it, and the place of the peak."""
    count = draw(st.integers(least, 12))
    peak = draw(st.integers(0, count - 1))
    falls = draw(st.lists(st.floats(0.01, 5), min_size=count, max_size=count))
    return [-sum(falls[min(i, peak) : max(i, peak)]) for i in range(count)], peak


@given(one_peak(1), st.data())
def test_a_climb_finds_the_peak_wherever_it_is_and_pays_for_the_way(values, data):
    heights, peak = values
    rates = [10.0**k for k in range(len(heights))]
    known = dict(zip(rates, heights, strict=True))
    trials = Played(known, known)
    assert climb(trials.ranked, data.draw(st.permutations(rates)), SHARES["climb"]) == rates[peak]
    way = abs(peak - len(rates) // 2)
    most = 3 * 0.625 + 2 * 0.375 + way * 0.375
    assert sum(trials.shares.values()) <= most + 1e-9
    assert sum(share == 1 for share in trials.shares.values()) <= 2


@given(one_peak(3))
def test_a_climb_still_ends_at_the_best_where_the_peak_was_a_step_off_early(values):
    heights, peak = values
    rates = [10.0**k for k in range(len(heights))]
    early = dict(zip(rates, heights, strict=True))
    late = early | {rates[max(peak - 1, 0)]: 1.0}
    assert climb(Played(early, late).ranked, rates, SHARES["climb"]) == rates[max(peak - 1, 0)]


def test_a_climb_that_ends_early_compares_there():
    values = dict(zip((1.0, 2.0, 3.0, 4.0, 5.0), (0, 1, 2, 3, 2), strict=True))
    for until in (0.1, 0.375, 0.5):
        trials = Played(values, values)
        assert climb(trials.ranked, list(values), Search(list(values), "climb", until).shares) == 4.0
        assert set(trials.shares.values()) <= {0.0, min(until, 0.375), until}


def test_of_equal_rates_a_climb_stays_where_it_is():
    values = dict.fromkeys((1.0, 2.0, 3.0, 4.0, 5.0), 0.5)
    assert climb(Played(values, values).ranked, list(values), SHARES["climb"]) == 3.0
