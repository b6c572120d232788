"""Changes by stage in a study of one's own, against scipy and hand calculation."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rm_selection.analysis import stage_changes, stage_choice
from rm_selection.analysis.stage_changes import BOOTSTRAP, MIXED, changes, mean_change, pair_error, references
from rm_selection.errors import FitError

STAGES = {"pretrained": 0.0, "made-sft": 5.0, "made-dpo": 4.0, "made-rlvr": 4.0}


def runs(bases: int = 6, seeds: int = 3, noise: float = 0.5, stages=STAGES) -> pd.DataFrame:
    """Scores of a base around 60 + 3 x its number; what a stage adds differs by base with deviation 1."""
    rng, rows = np.random.default_rng(0), []
    for base in range(bases):
        for stage, added in stages.items():
            mine = 60 + 3 * base + added + (rng.normal(0, 1) if added else 0)
            for seed in range(seeds):
                score = mine + rng.normal(0, noise)
                rows.append({"base": f"b{base}", "stage": stage, "seed": seed, "score": score, "chat": score + 2})
    return pd.DataFrame(rows)


def answers(table: pd.DataFrame, pairs: int = 100) -> pd.DataFrame:
    """Half of the pairs gain 0.2 from any later stage, the others nothing."""
    rows = [
        row | {"id": str(i), "subset": "chat", "right": 0.5 + 0.2 * (i % 2) * (row["stage"] != "pretrained")}
        for row in table[["base", "stage", "seed"]].to_dict("records")
        for i in range(pairs)
    ]
    return pd.DataFrame(rows)


def overall(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["category"] == "score"].set_index("model")


def test_a_mixed_model_of_a_balanced_study_is_the_t_test_of_the_means_of_bases():
    table = runs().pivot(index=["base", "seed"], columns="stage", values="score")
    change = (table["made-sft"] - table["pretrained"]).to_numpy()
    found = mean_change(change, list(table.index.get_level_values("base")))
    means = pd.Series(change).groupby(table.index.get_level_values("base")).mean()
    assert found.method == MIXED
    assert found.points == pytest.approx(means.mean())
    assert found.error == pytest.approx(stats.sem(means), rel=1e-3)


def test_the_interval_and_the_p_value_are_students():
    found = overall(changes({"regression": runs()}, {}, ["chat"])).loc["made-sft against pretrained"]
    table = runs().groupby(["base", "stage"])["score"].mean().unstack()
    test = stats.ttest_rel(table["made-sft"], table["pretrained"])
    assert found["p_value"] == pytest.approx(test.pvalue, rel=1e-2)
    assert (found["low"], found["high"]) == pytest.approx(tuple(test.confidence_interval(0.9)), rel=1e-3)
    assert found["method"] == "mixed model; pairs fixed"
    assert found["base"] == "6 bases"


def test_where_the_model_cannot_be_estimated_bases_are_drawn_anew():
    for change, bases in (([1.0, 2, 4], "abc"), ([1.0, 2, 3, 4, 6], "abcde"), ([1.0, 3] * 5, "aabbccddee")):
        found = mean_change(np.array(change), list(bases))  # few bases, one seed each, no variance between bases
        means = pd.Series(change).groupby(list(bases)).mean()
        assert found.method == BOOTSTRAP
        assert found.points == pytest.approx(means.mean())
        assert found.error == pytest.approx(stats.sem(means), rel=0.05, abs=1e-12)


def test_one_base_alone_has_a_change_and_no_interval():
    row = overall(changes({"regression": runs(bases=1)}, {}, ["chat"])).loc["made-sft against pretrained"]
    assert np.isfinite(row["change_points"])
    assert np.isnan([row["low"], row["high"], row["p_value"], row["p_adjusted"]]).all()


def test_each_stage_is_compared_with_the_pretrained_base_and_with_the_one_before():
    there = list(STAGES)
    assert [references(stage, there) for stage in there] == [
        [],
        ["pretrained"],
        ["pretrained", "made-sft"],
        ["pretrained", "made-dpo"],
    ]
    assert references("instruct", ["pretrained", "sft", "instruct"]) == ["pretrained"]
    assert references("dpo", ["sft", "made-sft", "dpo"]) == ["sft"]  # never one of the other kind
    table = overall(changes({"regression": runs()}, {}, ["chat"]))
    assert table["change_points"]["made-dpo against made-sft"] == pytest.approx(-1, abs=1.5)
    assert table["score"]["pretrained"] == pytest.approx(67.5, abs=0.5)


def test_pairs_add_their_error_where_they_are_known():
    table = runs()
    right = answers(table)
    shared = pd.MultiIndex.from_frame(table[["base", "seed"]].drop_duplicates())
    error = pair_error(right, shared, "made-sft", "pretrained", "chat")
    assert error == pytest.approx(100 * np.std([0, 0.2] * 50, ddof=1) / 10)
    with_pairs, without = (changes({"r": table}, {"r": one}, ["chat"]) for one in (right, pd.DataFrame()))
    one, other = (overall(made).loc["made-sft against pretrained"] for made in (with_pairs, without))
    assert one["method"] == "mixed model; pairs counted"
    widths = [(row["high"] - row["low"]) / 2 / stats.t.ppf(0.95, 5) for row in (one, other)]
    assert widths[0] == pytest.approx(np.hypot(widths[1], error))


def test_only_runs_of_the_same_base_and_seed_are_compared():
    table = runs(bases=5)
    lacking = table[~((table["base"] == "b4") & (table["stage"] == "made-sft"))]
    found = overall(changes({"regression": lacking}, {}, ["chat"]))
    assert found["bases"]["made-sft against pretrained"] == 4
    assert found["bases"]["made-dpo against pretrained"] == 5


def test_holm_is_over_every_row_that_is_tested():
    found = changes({"regression": runs(), "bradley_terry": runs(seeds=2)}, {}, ["chat"]).dropna(subset="p_value")
    steps = [min(1, p * (len(found) - place)) for place, p in enumerate(sorted(found["p_value"]))]
    assert sorted(found["p_adjusted"]) == pytest.approx(sorted(pd.Series(steps).cummax()))


def test_a_study_of_one_stage_has_nothing_to_compare():
    with pytest.raises(FitError, match="no base has runs of two stages"):
        changes({"regression": runs(stages={"made-sft": 1.0})}, {}, ["chat"])
    with pytest.raises(FitError, match="no base has several"):
        stage_choice.choices({"regression": runs(stages={"made-sft": 1.0})}, {})


def test_the_stage_of_a_base_is_chosen_with_a_paired_lead():
    table = runs(bases=2, noise=0.2)
    found = stage_choice.choices({"regression": table}, {}).set_index("base")
    means = table.groupby(["base", "stage"])["score"].mean().unstack()
    assert found["stage"].tolist() == means.idxmax(axis=1).tolist()
    assert found["lead"].tolist() == pytest.approx(
        [row.nlargest(2).diff().iloc[-1] * -1 for _, row in means.iterrows()]
    )
    spread = np.sqrt((table.groupby(["base", "stage"])["score"].var()).mean())
    half = stats.t.ppf(0.95, 16) * spread * np.sqrt(2 / 3)
    assert (found["high"] - found["low"]).tolist() == pytest.approx([2 * half] * 2)


def test_whether_the_objective_changes_the_choice_is_said():
    flipped = runs(stages={"pretrained": 9.0, "made-sft": 5.0})
    found = stage_choice.choices({"regression": runs(), "bradley_terry": flipped}, {})
    assert set(found["same_for_all"]) == {"no"}
    first, second = stage_choice.sentences(found, "bradley_terry")
    assert first.startswith("Stage that carries the best reward model, of 6 bases: pretrained for 6;")
    assert second == ("Under another objective the best stage is another one for 6 of 6 bases: b0, b1, b2, b3, b4, b5.")
    alone = stage_choice.sentences(stage_choice.choices({"regression": runs()}, {}), "regression")
    assert len(alone) == 1


def test_every_stage_has_one_before_it_or_is_instruct_or_pretrained():
    assert set(stage_changes.BEFORE) == set(stage_changes.EVERY_STAGE) - {"pretrained", "instruct"}
