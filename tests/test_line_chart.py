from xml.etree import ElementTree

import pandas as pd
import pytest
from page_tables import MODELS, checkpoints

from rm_selection.curve_charts import charts
from rm_selection.line_chart import STYLES, Line, line_chart, ticks
from rm_selection.sheets import slugs


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0.31, 0.69, [0.4, 0.5, 0.6]),
        (-3, 2, [-3, -2, -1, 0, 1, 2]),
        (1e-7, 1.2e-7, [1e-7, 1.05e-7, 1.1e-7, 1.15e-7, 1.2e-7]),
    ],
)
def test_ticks_are_round_numbers_inside(low, high, found):
    assert ticks(low, high) == pytest.approx(found)


def test_a_chart_names_its_axes_and_lines_and_escapes_them():
    svg = line_chart("<loss>", "step & more", [Line([[(0, 1), (9, 2)]], "</text><script>", "#000000")])
    assert {"<loss>", "step & more", "</text><script>"} <= set(texts(svg))


@pytest.mark.parametrize("points", [[(1, 1)], [(1, 2), (2, 2)], [(1, float("nan")), (2, 3)], [(1, float("inf"))]])
def test_one_point_a_flat_line_and_missing_numbers_can_be_drawn(points):
    svg = line_chart("", "", [Line([points], "a", "#000000")])
    assert "nan" not in svg
    assert "inf" not in svg


def test_lines_differ_in_dashes_not_only_in_colour():
    assert len({dashes for _, dashes in STYLES}) == len(STYLES)


def test_a_checkpoint_has_a_chart_an_objective_and_quantity():
    curves = checkpoints()["curves"]
    accuracy = curves.assign(what="validation_accuracy", objective="bradley_terry")
    made = charts(pd.concat([accuracy, curves]), slugs(MODELS))
    assert [chart.name for chart in made[MODELS[0]]] == [
        "maker-qwen-0-regression-loss",
        "maker-qwen-0-bradley_terry-validation_accuracy",
    ]
    assert "Bradley-Terry: validation accuracy" in texts(made[MODELS[0]][1].svg)
    assert "seed 1, rate 5e-06" in texts(made[MODELS[0]][0].svg)


def test_rates_that_lost_lie_behind_under_one_name():
    lost = checkpoints()["curves"].assign(chosen=False, rate=1e-5)
    [chart] = charts(pd.concat([checkpoints()["curves"], lost]), slugs(MODELS))[MODELS[0]]
    assert texts(chart.svg).count("other rates") == 1
    assert chart.svg.count("stroke-width: 1.2") == 2  # of both seeds in one, and the legend
