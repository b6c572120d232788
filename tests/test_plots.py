import re
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pandas as pd
import pytest
from page_tables import MODELS, study

from rm_selection import plots
from rm_selection.plot_style import short_names

HOSTILE = ["a/<script>alert(1)</script>", 'b/"quoted" & $x^2$ $', "c/</svg>\nline", *MODELS[3:]]


@pytest.fixture(scope="module")
def drawn() -> dict[str, object]:
    return plots.figures(study())


def texts(path: Path) -> list[str]:
    return [element.text or "" for element in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def test_every_figure_is_drawn_when_its_tables_are_there(drawn):
    assert list(drawn) == list(plots.PLOTS)


@pytest.mark.parametrize("absent", ["recommendation", "objectives", "models", "correlation", "stages", "factors"])
def test_a_figure_without_its_table_is_skipped(absent):
    tables = {name: frame for name, frame in study().items() if name != absent}
    skipped = set(plots.PLOTS) - set(plots.figures(tables))
    assert skipped == {name for name, plot in plots.PLOTS.items() if absent in plot.needs}


def test_no_tables_give_no_figures():
    assert plots.figures({}) == {}


def test_tables_without_rows_to_draw_give_no_figures():
    tables = {name: frame.iloc[:0] for name, frame in study().items()}
    tables["stages"] = study()["stages"].query("stage == 'pretrained'")
    tables["predictions"] = study()["predictions"].query("validation == 'in_sample'")
    assert plots.figures(tables) == {}


def test_saved_as_svg_and_png_and_nothing_else(drawn, tmp_path):
    plots.save({"stages": drawn["stages"], "coverage": drawn["coverage"]}, tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "coverage.png",
        "coverage.svg",
        "stages.png",
        "stages.svg",
    ]


def test_the_same_tables_give_the_same_bytes(tmp_path):
    for run in ("first", "second"):
        made = plots.figures({name: study()[name] for name in ("recommendation", "factors")})
        plots.save(made, tmp_path / run)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def test_drawing_leaves_matplotlib_as_it_was(tmp_path):
    before = dict(matplotlib.rcParams)
    plots.save(plots.figures({"factors": study()["factors"]}), tmp_path)
    assert dict(matplotlib.rcParams) == before


def test_text_stays_text_and_names_are_escaped(tmp_path):
    plots.save(plots.figures({"recommendation": study(HOSTILE)["recommendation"]}), tmp_path)
    shown = texts(tmp_path / "recommendation.svg")
    assert "1. script>" in shown  # the publisher, up to the last slash, is left out
    assert '2. "quoted" & $x^2$ $' in shown
    assert "3. svg> line" in shown


def test_names_alike_but_for_the_publisher_keep_it(tmp_path):
    names = ["one/base", "two/base", *MODELS[2:]]
    plots.save(plots.figures({"recommendation": study(names)["recommendation"]}), tmp_path)
    assert {"1. one/base", "2. two/base"} < set(texts(tmp_path / "recommendation.svg"))


def test_a_character_the_font_lacks_is_drawn_without_a_warning(tmp_path):
    names = ["maker/\u6a21\u578b", *MODELS[1:]]
    plots.save(plots.figures({"recommendation": study(names)["recommendation"]}), tmp_path)
    assert "1. \u6a21\u578b" in texts(tmp_path / "recommendation.svg")


def test_missing_and_infinite_interval_ends_are_left_out(tmp_path):
    table = study()["recommendation"].assign(low=float("nan"), high=float("inf"))
    plots.save(plots.figures({"recommendation": table}), tmp_path)
    assert "nan" not in (tmp_path / "recommendation.svg").read_text().lower()


def test_names_at_the_frontier_never_lie_on_one_another(tmp_path):
    scores = [60.0, 60.2, 60.4, 70.0, 70.1, 88.0, 87.0, 50.0]
    hours = [1.0, 2.0, 3.0, 40.0, 50.0, 60.0, 100.0, 0.5]
    table = study()["recommendation"].assign(predicted=scores, train_gpu_hours=hours)
    table = table.assign(low=table["predicted"] - 4, high=table["predicted"] + 4)
    plots.save(plots.figures({"recommendation": table}), tmp_path)
    named = [text for text in texts(tmp_path / "cost.svg") if re.fullmatch(r"[a-z]+-\d", text)]
    assert sorted(named) == ["gemma-4", "llama-5", "newcomer-7", "qwen-2"]  # of those close together the best


def test_a_missing_correlation_is_a_dash_in_the_heat_map(tmp_path):
    plots.save(plots.figures({"correlation": study()["correlation"]}), tmp_path)
    shown = texts(tmp_path / "correlation_categories.svg")
    assert shown.count("\u2013") == 4  # siqa has an overall correlation only
    assert "siqa  n=5" in texts(tmp_path / "correlation_spearman.svg")


def test_the_pretrained_base_is_no_stage_of_its_own(tmp_path):
    plots.save(plots.figures({"stages": study()["stages"]}), tmp_path)
    assert [text for text in texts(tmp_path / "stages.svg") if ":" in text] == ["sft: llama-6"]


def test_a_table_without_a_needed_column_is_an_error():
    with pytest.raises(KeyError, match="low"):
        plots.figures({"recommendation": pd.DataFrame({"rank": [1], "model": ["a"], "basis": ["measured"]})})


def test_a_stage_that_all_share_is_left_out_of_names():
    assert short_names(["a/x@sft", "a/y@sft"]) == ["x", "y"]
    assert short_names(["x@sft", "x@dpo"]) == ["x@sft", "x@dpo"]
