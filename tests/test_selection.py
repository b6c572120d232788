import numpy as np
import pandas as pd
import pytest

from rm_selection import evidence, selection, table_rows, tables
from rm_selection.analysis.measurement import total_error
from rm_selection.errors import SelectionError
from rm_selection.selection import Constraints, allowed, rank


@pytest.fixture(scope="module")
def known() -> evidence.Evidence:
    return evidence.published("regression")


@pytest.fixture(scope="module")
def everyone() -> pd.DataFrame:
    return tables.candidates(None)


def candidate(**known: object) -> pd.DataFrame:
    row = dict.fromkeys(table_rows.BENCHMARKS, np.nan) | {"model": "new/model", "family": "new", "licence": "mit"}
    return tables.with_log_size(pd.DataFrame([row | known]))


TYPICAL = dict(zip(table_rows.OPEN_LLM_V2, (25.0, 5.0, 60.0, 15.0, 25.0, 8.0), strict=True))


def test_constraints_keep_what_satisfies_all_of_them(everyone):
    left = allowed(everyone, Constraints(9, 3, ("apache-2.0", "mit"), ("qwen",)))
    assert left["params_b"].between(3, 9).all()
    assert set(left["licence"]) <= {"apache-2.0", "mit"}
    assert "qwen" not in set(left["family"])


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        (Constraints(max_params_b=0.01), r"max_params_b=0.01 removes the last 145"),
        (Constraints(licences=("mti",)), r"licence=mti is not known; did you mean mit\? there are apache-2.0"),
        (Constraints(excluded_families=("qwn",)), r"exclude_family=qwn is not known; did you mean qwen\?"),
        (Constraints(max_params_b=1, licences=("deepseek",)), r"licence=deepseek removes the last"),
        (Constraints(min_params_b=14.5, excluded_families=("qwen", "phi")), r"exclude_family=\[qwen,phi\] removes"),
    ],
)
def test_the_constraint_that_empties_the_list_is_named(everyone, constraints, message):
    with pytest.raises(SelectionError, match=message):
        allowed(everyone, constraints)


def test_measured_models_keep_their_score_with_measurement_error(known, everyone):
    table = rank(everyone, known, seed=0).set_index("model")
    row = table.loc["google/gemma-2-9b-it"]
    error = total_error(known.measured.set_index("model").loc["google/gemma-2-9b-it"])
    assert row["predicted"] == 88.1
    assert row["high"] - row["predicted"] == pytest.approx(1.6448536 * error)
    assert row["basis"] == "measured"


def test_ranks_follow_the_expected_score(known, everyone):
    table = rank(everyone, known, seed=0)
    assert table["rank"].tolist() == list(range(1, len(table) + 1))
    assert table["predicted"].is_monotonic_decreasing


def test_probabilities_add_up(known, everyone):
    table = rank(everyone, known, seed=0)
    assert table["probability_top_1"].sum() == pytest.approx(1)
    assert table["probability_top_5"].sum() == pytest.approx(5)
    assert (table["probability_top_5"] >= table["probability_top_1"]).all()


def test_the_only_candidate_is_surely_the_best(known):
    table = rank(candidate(params_b=7.0, **TYPICAL), known, seed=0)
    assert table["probability_top_1"].item() == 1


def test_a_candidate_outside_the_fitted_range_is_marked_and_less_sure(known):
    inside, outside = (rank(candidate(params_b=size, **TYPICAL), known, seed=0).iloc[0] for size in (8.0, 30.0))
    assert inside["basis"] == "predicted"
    assert outside["basis"] == "predicted; params_b log_params_b outside the fitted range"
    assert outside["high"] - outside["low"] > inside["high"] - inside["low"]


def test_missing_features_are_marked_and_make_it_less_sure(known):
    whole = rank(candidate(params_b=7.0, **TYPICAL), known, seed=0).iloc[0]
    bare = rank(candidate(params_b=7.0), known, seed=0).iloc[0]
    assert "imputed" in bare["basis"]
    assert bare["high"] - bare["low"] > whole["high"] - whole["low"]


def test_the_study_cost_is_shared_out_whole():
    models = tables.published().models["params_b"]
    total = sum(evidence.training_hours(models, objective).sum() for objective in evidence.SEQUENCES)
    assert total == pytest.approx(evidence.STUDY_GPU_HOURS)


def test_a_size_only_choice_is_told_beside_ours(known, everyone):
    table = rank(allowed(everyone, Constraints(max_params_b=9)), known, seed=0)
    largest = table.loc[table["params_b"].idxmax()]
    assert largest["model"] in selection.header(table, known)[-1]


def test_unpredictable_objectives_are_said_to_be_so(everyone):
    known = evidence.published("bradley_terry")
    messages = selection.warnings(rank(everyone, known, seed=0), known)
    assert known.figures["r2"] < 0
    assert "Nothing known of a base predicts bradley_terry scores" in messages[0]


def test_a_ranking_of_measured_models_needs_no_warning(known):
    measured = tables.candidates(None).head(40)
    assert selection.warnings(rank(measured, known, seed=0), known) == []


def test_the_choice_for_each_size_group_costs_little_out_of_family(known):
    """Trusting predictions made without a model's family, the first choice of a size group is near its best."""
    sizes = known.measured.set_index("model")["params_b"]
    groups = pd.cut(known.held_out["model"].map(sizes), [0, 3, 6, 100], right=False)
    for _, group in known.held_out.groupby(groups, observed=True):
        picked = group.loc[group["predicted"].idxmax(), "actual"]
        assert group["actual"].max() - picked < 4
