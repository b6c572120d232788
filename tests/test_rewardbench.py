from dataclasses import replace
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from scored import BY_HAND, OFFICIAL, pairs_of_prompt, random_v1, rm_bench_pairs, v1_pairs, v2_pairs

from rm_selection.errors import ConfigError, TableError
from rm_selection.rewardbench import evaluate, paired_difference
from rm_selection.rewardbench_rules import V1, V1_PAIRS

hand_made = v1_pairs(BY_HAND["subsets"])
with_prior_sets = v1_pairs(BY_HAND["subsets"] | BY_HAND["prior_sets"])
few = st.lists(st.tuples(st.sampled_from(["x", "y"]), st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=12)


def frame(rows: list[tuple[str, int, int]]) -> pd.DataFrame:
    columns = ["subset", "reward_chosen", "reward_rejected"]
    return pd.DataFrame(rows, columns=columns).assign(id=[f"p{place:02}" for place in range(len(rows))])


def swapped(pairs: pd.DataFrame) -> pd.DataFrame:
    return pairs.rename(columns={"reward_chosen": "reward_rejected", "reward_rejected": "reward_chosen"})


def test_rewardbench_has_2985_pairs_in_23_subsets():
    assert len(V1_PAIRS) == 23
    assert [sum(V1[category].values()) for category in V1] == [358, 456, 740, 447 + 984]
    assert sum(V1_PAIRS.values()) == 2985


def test_rewardbench_is_the_table_worked_out_by_hand():
    found = evaluate("rewardbench", hand_made)
    for category, share in BY_HAND["won_of_all"].items():
        won, total = share.split("/")
        assert found.categories[category] == pytest.approx(float(100 * Fraction(won) / Fraction(total)))
        assert found.categories[category] == pytest.approx(BY_HAND["expected"][category], abs=1e-6)
    assert found.score == pytest.approx(BY_HAND["expected"]["score"], abs=1e-6)
    assert (found.n, found.ties, found.complete, found.lacking) == (2985, 5, True, {})


def test_the_leaderboard_weighs_the_prior_sets_half():
    found = evaluate("rewardbench", with_prior_sets)
    assert found.details["leaderboard"] == pytest.approx(BY_HAND["expected"]["leaderboard"], abs=1e-6)
    assert found.categories["prior_sets"] == pytest.approx(BY_HAND["expected"]["prior_sets"])
    assert found.score == pytest.approx(BY_HAND["expected"]["score"], abs=1e-6)
    assert "leaderboard" not in evaluate("rewardbench", hand_made).details


def test_missing_pairs_are_marked_and_a_missing_category_leaves_no_score():
    partial = evaluate("rewardbench", hand_made[hand_made["subset"] != "mt-bench-easy"].iloc[1:])
    assert (partial.complete, partial.lacking) == (False, {"alpacaeval-easy": 1, "mt-bench-easy": 28})
    assert partial.score is not None
    unsafe = hand_made[~hand_made["subset"].isin(V1["safety"])].assign(length_chosen=1, length_rejected=2)
    without = evaluate("rewardbench", unsafe)
    assert without.score is without.length_baseline is None
    assert "safety" not in without.categories
    assert "score" not in without.record()
    assert without.lacking == V1["safety"]


def test_rewardbench_2_is_what_its_own_arithmetic_gives():
    expected = OFFICIAL["rewardbench2"]["expected"]
    found = evaluate("rewardbench2", v2_pairs())
    for subset, accuracy in found.subsets.items():
        assert accuracy == pytest.approx(100 * expected[subset]), subset
    assert found.categories["precise_if"] == found.subsets["Precise IF"]
    assert found.score == pytest.approx(100 * expected["mean of the six"])
    assert found.lacking["Ties"] == 102 - len(OFFICIAL["rewardbench2"]["ties"])


def test_ties_rewards_gaps_wider_than_the_spread_of_right_answers():
    # tied:0 gap 1.5, spread 0.5; ref:0 gap 0.8; tied:1 gap -0.5, spread 1; ref:1 gap 1; both by hand
    rows = [("tied:0", [3, 2.5], [1, 0]), ("ref:0", [2], [1.2]), ("tied:1", [2, 1], [1.5]), ("ref:1", [1], [0])]
    pairs = pd.DataFrame([row for prompt in rows for row in pairs_of_prompt("Ties", *prompt)])
    by_hand = 0.3 * 1 / 2 + 0.3 * 2 / 2 + 0.2 * 1 / 2 + 0.2 * 1 / 2 + 0.01 * (0.5370496 - 0.9051483) / 2
    assert evaluate("rewardbench2", pairs).subsets["Ties"] == pytest.approx(100 * by_hand, abs=1e-5)


def test_a_prompt_that_lost_a_response_is_left_out():
    pairs = v2_pairs()
    lost = pairs[pairs["id"] != "Focus0#0-2"]
    found, whole = evaluate("rewardbench2", lost), evaluate("rewardbench2", pairs)
    assert found.lacking["Focus"] == whole.lacking["Focus"] + 1
    assert found.units == whole.units - 1
    unpaired = evaluate("rewardbench2", pairs[pairs["subset"].ne("Ties") | pairs["id"].str.startswith("ref")])
    assert "ties" not in unpaired.categories
    assert unpaired.score is None


def test_rm_bench_is_what_its_own_arithmetic_gives():
    expected = OFFICIAL["rm_bench"]["expected"]
    found = evaluate("rm_bench", rm_bench_pairs())
    assert found.categories == pytest.approx(
        {name: 100 * expected[name] for name in ("chat", "code", "math", "safety")}
    )
    for level in ("easy", "normal", "hard"):
        assert found.details[level] == pytest.approx(100 * expected[f"{level}_acc"])
    assert found.score == pytest.approx(100 * expected["total_avg_acc"])
    assert not found.complete


def test_hard_is_the_plain_chosen_against_the_fancy_rejected_response():
    # every chosen response is beaten by fancier rejected ones only
    prompts = [("chat", "a"), ("code", "b"), ("math", "c"), ("safety-refuse", "d")]
    rows = [row for prompt in prompts for row in pairs_of_prompt(*prompt, [0.5, 1.5, 2.5], [0, 1, 2])]
    found = evaluate("rm_bench", pd.DataFrame(rows))
    assert [found.details[level] for level in ("easy", "normal", "hard")] == [100, 100, 0]
    assert found.details["concise>markdown"] == 0
    assert found.details["markdown>concise"] == 100
    assert found.score == pytest.approx(200 / 3)


def test_other_pairs_are_scored_by_subset_and_over_all_pairs():
    found = evaluate("judgebench", v1_pairs({"math": [3, 0, 1], "code": [0, 2, 0]}))
    assert found.subsets == {"code": 50.0, "math": 75.0}
    assert found.score == pytest.approx(100 * 4 / 6)
    assert found.categories == {}


def test_longer_wins_is_scored_by_the_same_rule():
    pairs = hand_made.assign(length_chosen=hand_made["reward_chosen"] + 5, length_rejected=5)
    assert evaluate("rewardbench", pairs).length_baseline == pytest.approx(BY_HAND["expected"]["score"], abs=1e-6)
    assert evaluate("rewardbench", hand_made).length_baseline is None


@settings(deadline=None, max_examples=40)
@given(few)
def test_swapping_the_sides_turns_accuracy_around(rows):
    found, turned = evaluate("jsonl", frame(rows), 10), evaluate("jsonl", swapped(frame(rows)), 10)
    assert turned.score == pytest.approx(100 - found.score)
    assert turned.subsets == pytest.approx({name: 100 - accuracy for name, accuracy in found.subsets.items()})
    assert turned.ties == found.ties


@settings(deadline=None, max_examples=40)
@given(few, st.randoms(use_true_random=False))
def test_monotone_transforms_and_the_order_of_rows_change_nothing(rows, random):
    pairs = frame(rows)
    rewards = ["reward_chosen", "reward_rejected"]
    changed = pairs.assign(**{name: np.exp(pairs[name]) - 7 for name in rewards})
    order = list(range(len(rows)))
    random.shuffle(order)
    assert evaluate("jsonl", changed.iloc[order], 50) == evaluate("jsonl", pairs, 50)


@pytest.mark.parametrize(("name", "pairs"), [("rewardbench2", v2_pairs()), ("rm_bench", rm_bench_pairs())])
def test_the_order_of_rows_changes_nothing_where_prompts_have_many_pairs(name, pairs):
    assert evaluate(name, pairs.sample(frac=1, random_state=3), 50) == evaluate(name, pairs, 50)


def test_the_interval_of_many_pairs_is_the_binomial_one():
    low, high = evaluate("jsonl", v1_pairs({"x": [700, 0, 300]}), resamples=4000).intervals["score"]
    reach = 100 * 1.645 * np.sqrt(0.7 * 0.3 / 1000)
    assert (low, high) == pytest.approx((70 - reach, 70 + reach), abs=0.2)


def test_every_figure_has_an_interval_around_it_and_the_seed_makes_it():
    found = evaluate("rewardbench", with_prior_sets, seed=1)
    figures = {"score": found.score, "details.leaderboard": found.details["leaderboard"]}
    figures |= {f"categories.{name}": value for name, value in found.categories.items()}
    figures |= {f"subsets.{name}": value for name, value in found.subsets.items()}
    assert set(found.intervals) == set(figures)
    assert all(low <= figures[name] <= high for name, (low, high) in found.intervals.items())
    again = evaluate("rewardbench", with_prior_sets, seed=2)
    assert again.intervals != found.intervals
    assert replace(again, intervals=found.intervals) == found


def test_pairs_of_one_group_are_drawn_together():
    pairs = v1_pairs({"x": [50, 0, 50]})
    groups = pairs.assign(group=[f"g{place // 10}" for place in range(100)])
    alone, together = evaluate("jsonl", pairs).intervals["score"], evaluate("jsonl", groups).intervals["score"]
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])


def test_two_models_on_the_same_pairs_differ_by_less_than_their_intervals_say():
    first, second = random_v1(0), random_v1(0)
    second.loc[::20, "reward_chosen"] += 3  # better on one pair in twenty
    found = paired_difference("rewardbench", second, first.sample(frac=1, random_state=0))
    gained = evaluate("rewardbench", second).score - evaluate("rewardbench", first).score
    assert found.score == pytest.approx(gained)
    low, high = found.intervals["score"]
    assert 0 < low < gained < high
    alone = evaluate("rewardbench", first).intervals["score"]
    assert high - low < 0.7 * (alone[1] - alone[0])


def test_a_model_does_not_differ_from_itself():
    found = paired_difference("rewardbench2", v2_pairs(), v2_pairs())
    assert found.score == 0
    assert set(found.intervals.values()) == {(0.0, 0.0)}


def one_more(pairs: pd.DataFrame, **columns) -> pd.DataFrame:
    return pd.concat([pairs, pairs.iloc[[0]].assign(id="one#0-0").assign(**columns)], ignore_index=True)


@pytest.mark.parametrize(
    ("name", "pairs", "message"),
    [
        ("rewardbench", one_more(hand_made, subset="hep-pyton"), "no subset hep-pyton; near names are hep-python"),
        ("rewardbench2", one_more(v2_pairs(), subset="Facts"), "RewardBench 2 has no subset Facts; "),
        ("rm_bench", one_more(rm_bench_pairs(), subset="safety"), "near names are safety-refuse"),
        ("rewardbench", one_more(hand_made), "alpacaeval-easy has 101 pairs where RewardBench has 100"),
        ("rewardbench2", one_more(v2_pairs(), subset="Ties"), "Ties prompt one is of no known kind"),
        ("rewardbench2", one_more(v2_pairs(), id="Math0#1-0", subset="Math"), "Math0 of Math has several chosen"),
        ("rewardbench2", one_more(v2_pairs(), id="Math0#0-3", subset="Math"), "Math0 of Math has more than 3 rejected"),
        ("rewardbench2", v2_pairs()[lambda pairs: pairs["id"].eq("Math0#0-0")], "no prompt of rewardbench2 has all"),
        ("rm_bench", one_more(rm_bench_pairs(), id="x#3-0"), "x#3-0 is no pair of RM-Bench"),
    ],
)
def test_refuses_pairs_that_are_not_of_the_benchmark(name, pairs, message):
    with pytest.raises(TableError, match=message):
        evaluate(name, pairs)


def test_refuses_an_unknown_benchmark():
    with pytest.raises(ConfigError, match="no evaluation named rewardbench3; choose one of rewardbench, "):
        evaluate("rewardbench3", hand_made)


def test_refuses_to_compare_models_on_different_pairs():
    with pytest.raises(TableError, match="pair alpacaeval-easy/0 is scored by one model only, 1 such in all"):
        paired_difference("rewardbench", hand_made, hand_made.iloc[1:])
    with pytest.raises(TableError, match="is in another subset for the second model"):
        paired_difference("jsonl", hand_made, hand_made.assign(subset="x"))


@pytest.mark.parametrize("won", [0, 24])
def test_where_nothing_is_wrong_or_right_the_open_end_is_that_of_the_exact_interval(won):
    found = evaluate("jsonl", frame([("x", 1 if won else -1, 0)] * 24))
    exact = binomtest(won, 24).proportion_ci(0.9, "exact")
    assert found.intervals["score"] == pytest.approx((100 * exact.low, 100 * exact.high))
    assert found.intervals["subsets.x"] == found.intervals["score"]


def test_prompts_and_not_their_pairs_are_counted_where_all_are_right():
    rows = [row for prompt in range(6) for row in pairs_of_prompt("math", str(prompt), [3.0] * 3, [1.0] * 3)]
    found = evaluate("rm_bench", pd.DataFrame(rows))
    assert found.intervals["categories.math"] == pytest.approx((100 * 0.05 ** (1 / 6), 100))
    assert found.intervals["subsets.math"] == found.intervals["categories.math"]
