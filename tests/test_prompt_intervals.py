import numpy as np
import pytest
from scipy.stats import bootstrap
from scipy.stats import t as student

from rm_selection.features.prompt_intervals import jackknife, shares

PROMPTS = [str(i) for i in range(200)]
RIGHT = (np.random.default_rng(0).random(200) < 0.7).astype(float)


def test_the_interval_of_single_rows_is_scipys_bootstrap():
    found = shares({"one": RIGHT}, PROMPTS, 0)["one"]
    expected = bootstrap((100 * RIGHT,), np.mean, confidence_level=0.9, method="percentile", rng=1).confidence_interval
    assert found["value"] == pytest.approx(100 * RIGHT.mean())
    assert (found["low"], found["high"]) == pytest.approx(tuple(expected), abs=1)


def test_rows_of_one_prompt_count_as_one_draw():
    alone = shares({"one": RIGHT}, PROMPTS, 0)["one"]
    thrice = shares({"one": np.repeat(RIGHT, 3)}, list(np.repeat(PROMPTS, 3)), 0)["one"]
    assert thrice == pytest.approx(alone)


def test_differences_are_paired():
    noise = np.where(np.arange(200) < 2, 1 - RIGHT, RIGHT)  # all but two rows agree
    found = shares({"one": RIGHT, "two": noise}, PROMPTS, 0, ["two"])["one"]
    assert found["minus_two"] == pytest.approx(100 * (RIGHT - noise).mean())
    assert found["minus_two_high"] - found["minus_two_low"] < 3
    assert found["high"] - found["low"] > 9


def test_the_jackknife_of_a_mean_is_students_interval():
    rows = np.random.default_rng(1).normal(size=20)
    found = jackknife(lambda some: float(some.mean()), rows, [str(i) for i in range(20)], 0)
    half = student.ppf(0.95, 19) * rows.std(ddof=1) / np.sqrt(20)
    assert (found["low"], found["high"]) == pytest.approx((rows.mean() - half, rows.mean() + half))


def test_the_jackknife_leaves_out_whole_prompts():
    prompts = list(np.repeat(PROMPTS[:30], 4))
    seen = []
    jackknife(lambda some: float(seen.append(set(some)) or 0), np.repeat(np.arange(30), 4), prompts, 0)
    assert len(seen) == 21
    assert sorted(row for some in seen[1:] for row in set(range(30)) - some) == list(range(30))
