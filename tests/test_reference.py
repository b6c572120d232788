"""What published figures are worth before anything is trained."""

import numpy as np
import pytest

from rm_selection import reference
from rm_selection.analysis.belief import believe
from rm_selection.tables import joined


def expected_of(objective: str, names: list[str]) -> dict[str, float]:
    """Expected scores of models of which only PUBLIC is known."""
    calibration, public = reference.expected(objective)
    known = np.full((len(names), len(calibration.figures)), np.nan)
    known[:, calibration.figures.index(reference.PUBLIC)] = public.reindex(names)
    return dict(zip(names, believe(calibration, known).mean, strict=True))


@pytest.mark.parametrize("objective", ["bradley_terry", "regression"])
def test_who_was_measured_better_is_expected_to_be_better(objective):
    table = joined(objective).sort_values("score")
    found = expected_of(objective, table["model"].tolist())
    assert (np.diff(list(found.values())) > -1e-9).all()


def test_where_nothing_predicts_the_measured_count_as_far_as_the_objectives_tell_each_other():
    """The slope on one scale is Pearson's correlation."""
    calibration, public = reference.expected("bradley_terry")
    one, two = (joined(name).set_index("model")["score"] for name in ("bradley_terry", "regression"))
    both = one.index.intersection(two.index)
    slope = calibration.slope[calibration.figures.index(reference.PUBLIC)]
    assert slope == pytest.approx(np.corrcoef(one[both], two[both])[0, 1])
    assert set(public.dropna().index) <= set(one.index), "a prediction no better than chance is none"


def test_where_figures_predict_predictions_count_too():
    calibration, public = reference.expected("regression")
    assert public.notna().all()
    assert 0.3 < calibration.slope[calibration.figures.index(reference.PUBLIC)] <= 1
