import pandas as pd
import pytest
from scipy.stats import norm

from rm_selection.analysis.stages import published_stages
from rm_selection.errors import FitError
from rm_selection.settings import CATEGORIES
from rm_selection.tables import published


def stage(base: str, name: str, score: float) -> dict[str, object]:
    return {"model": f"{base}-{name}", "base": base, "stage": name, "score": score, **dict.fromkeys(CATEGORIES, score)}


def overall(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["category"] == "score"].set_index("model")


def test_the_published_changes_are_those_of_the_paper():
    table = overall(published_stages(published().stages))
    assert table["change_percent"].round(1).tolist() == [0, 14.1, 11.2, 15.5, 11.9, 10.0]


def test_each_stage_has_a_row_for_each_category_and_overall():
    table = published_stages(published().stages)
    assert table["category"].tolist() == [*CATEGORIES, "score"] * 6
    assert table.loc[table["model"] == "allenai/Llama-3.1-Tulu-3-8B-DPO", "score"].tolist() == [
        94.7,
        69.1,
        82.3,
        80.1,
        81.6,
    ]


def test_a_stage_is_compared_with_its_own_base():
    rows = [stage("a", "pretrained", 50), stage("b", "pretrained", 80), stage("b", "sft", 84), stage("a", "sft", 60)]
    table = overall(published_stages(pd.DataFrame(rows)))
    assert table.loc[["b-sft", "a-sft"], "change_points"].tolist() == [4, 10]
    assert table.loc[["b-sft", "a-sft"], "change_percent"].tolist() == [5, 20]


def test_a_pretrained_row_has_no_interval_and_no_p_value():
    table = published_stages(published().stages)
    start = table[table["stage"] == "pretrained"]
    assert (start["change_points"] == 0).all()
    assert start[["low", "high", "p_value", "p_adjusted"]].isna().all(axis=None)


def test_the_error_of_a_category_joins_both_accuracies_and_the_rerun_noise():
    table = published_stages(pd.DataFrame([stage("a", "pretrained", 50), stage("a", "sft", 60)]))
    chat = table[(table["category"] == "chat") & (table["stage"] == "sft")].iloc[0]
    error = (100**2 * (0.25 + 0.24) / 358 + 1) ** 0.5
    assert (chat["low"], chat["high"]) == pytest.approx(norm.interval(0.9, loc=10, scale=error))
    assert chat["p_value"] == pytest.approx(2 * norm.sf(10 / error))


def test_p_values_are_adjusted_by_holm_over_the_rows_that_are_tested():
    table = published_stages(published().stages).dropna(subset="p_value").sort_values("p_value")
    steps = [min(1, p * (25 - place)) for place, p in enumerate(table["p_value"])]
    assert table["p_adjusted"].tolist() == pytest.approx(pd.Series(steps).cummax().tolist())


def test_pretrained_rows_alone_are_no_error():
    assert published_stages(pd.DataFrame([stage("a", "pretrained", 50)]))["p_adjusted"].isna().all()


@pytest.mark.parametrize("starts", [0, 2])
def test_a_base_without_exactly_one_pretrained_row_is_refused(starts):
    rows = [stage("a", "pretrained", 50)] * starts + [stage("a", "sft", 60)]
    with pytest.raises(FitError, match=f"one pretrained row a base, and a has {starts}"):
        published_stages(pd.DataFrame(rows))


def test_a_missing_score_is_refused_with_its_model():
    with pytest.raises(FitError, match="need every score, and a-sft lacks one"):
        published_stages(pd.DataFrame([stage("a", "pretrained", 50), stage("a", "sft", float("nan"))]))
