import html.parser
import re
from collections import Counter
from functools import cache

import numpy as np
import pandas as pd
import pytest
from page_tables import MODELS, checkpoints, study, under_budget

from rm_selection import plots
from rm_selection.analysis.frontier import frontier
from rm_selection.columns import COLUMNS, described, written
from rm_selection.curve_charts import charts
from rm_selection.errors import StudyError
from rm_selection.inline_svg import inline
from rm_selection.page import FIGURES, INKS, page
from rm_selection.page_tables import MOST, view, views
from rm_selection.plot_style import INKS as FIGURE_INKS
from rm_selection.sheets import slugs

COSTS = {"frontier": frontier(study()["recommendation"])}
HOSTILE = ["a/<script>alert(1)</script>", 'b/"><img src=x onerror=alert(1)>', "c/</svg></table>'", *MODELS[3:]]
NOTES = {"header": ["Size alone would say X."], "warnings": ["Nine lack figures."], "settings": {"max_params_b": 9.0}}
FILES = ("tables/gains.csv", "tables/curves.csv", "figures/gains.svg", "figures/gains.png")
SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 4 3">{}</svg>'


class Reader(html.parser.HTMLParser):
    """What a browser would find: elements with attributes, and the text of each table cell."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@cache
def drawn() -> dict[str, str]:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        plots.save(plots.figures(study(HOSTILE)), Path(folder))
        return {path.stem: path.read_text() for path in Path(folder).glob("*.svg")}


@cache
def hostile() -> str:
    notes = {"header": ["<b>bold</b>"], "warnings": ["<i>"], "settings": {"candidates": "<u>"}}
    tables = study(HOSTILE) | checkpoints(HOSTILE, reason="<s>struck</s>") | COSTS
    lines = charts(tables["curves"], slugs(HOSTILE))
    return page("published", tables, drawn(), notes, lines, FILES)


def test_sections_come_in_order_with_the_answer_first():
    headings = re.findall(r'<h2 id="([a-z]+)"', page("published", study() | COSTS, {}, NOTES))
    assert headings == [
        *("answer", "claims", "scores", "gains", "correlation", "coverage", "stages", "objectives"),
        *("predictors", "predictions", "coefficients", "cost", "components", "distances"),
        *("checkpoints", "limits", "sources"),
    ]


def test_the_answer_names_the_first_its_chance_and_the_likeliest_unmeasured():
    text = page("published", study(), {}, NOTES)
    assert "Train the reward model from maker/qwen-0: measured 88.0 points [84.0, 92.0]." in text
    assert "best of the 8 candidates with probability 0.50" in text
    assert "maker/newcomer-7 (rank 8): predicted 60.0 points [56.0, 64.0], best with probability 0.15" in text


def test_a_predicted_leader_is_said_to_be_one_beside_the_best_measured():
    ranking = study()["recommendation"]
    ranking["basis"] = ["predicted; params_b outside the fitted range", *["measured"] * 7]
    text = page("published", {"recommendation": ranking}, {}, {})
    assert "Expected to be the best is maker/qwen-0: predicted 88.0 points" in text
    assert "Nobody has measured it, and it lies outside what the predictor was fitted on." in text
    assert "Of the measured ones the likeliest to be the best is maker/qwen-1 (rank 2)" in text


def test_under_a_budget_what_is_expected_is_never_called_measured():
    tables = study() | checkpoints() | {"recommendation": under_budget()}
    words = Reader(page("published", tables, {}, {})).text
    text = " ".join(words)
    assert (
        "Train the reward model from maker/qwen-0: expected score 88.0 points [84.0, 92.0], "
        "measured 89.2 on average over 2 trainings."
    ) in text
    assert "maker/qwen-1, expected score 84.0 points [80.0, 88.0], measured 85.0 in one training; " in text
    assert "maker/qwen-2, expected score 80.0 points [76.0, 84.0], trained to 75% of its steps; " in text
    assert "Of those not trained to the end the likeliest to be the best is maker/newcomer-7 (rank 8)" in text
    assert "place 1 of 8 with expected score 88.0 points [84.0, 92.0], measured 89.2 on average over 2" in text
    assert "measured 88.0" not in text


def test_under_a_budget_a_first_that_was_trained_in_part_has_no_safer_one_beside_it():
    ranking = under_budget()
    ranking["basis"] = ["trained to 75%", *ranking["basis"][1:]]
    text = page("published", {"recommendation": ranking}, {}, {"header": ["Train it.", "Spent 3."]})
    assert "<p>Train it.</p>\n<p>So far it was trained to 75% of its steps.</p>" in text
    assert "the safer choice" not in text


def test_under_a_budget_the_answer_is_said_once_and_its_settings_as_they_are_typed():
    header = ["Train the reward model from maker/qwen-0: expected score 88.0.", "Spent 3 of 4 device-hours."]
    settings = {"dataset": "mine", "candidates": ["a", "b"], "same_tokenizer": True, "budget_gpu_hours": 4.0}
    settings |= {"base": {"name": "llama3"}, "policy": None}  # as formerly written
    notes = {"header": header, "settings": settings}
    text = page("published", study() | {"recommendation": under_budget()}, {}, notes)
    assert text.count(header[0]) == 1
    assert f"<p>{header[0]}</p>\n<p>So far it was measured 89.2 on average over 2 trainings; " in text
    assert f"<li>{header[1]}</li>" in text
    shown = re.findall(r"<code>([^<]*)</code>", text.split("Settings of this ranking: ")[1].split("</p>")[0])
    assert shown == ["dataset=mine", "candidates=[a,b]", "same_tokenizer=true", "budget_gpu_hours=4"]


def test_a_ranking_by_categories_says_so_and_one_by_all_of_them_does_not():
    every = ["chat", "chat_hard", "safety", "reasoning"]
    said = {
        count: page("published", study(), {}, NOTES | {"settings": {"category": every[:count]}}) for count in (0, 2, 4)
    }
    assert "What counts is chat and chat_hard alone, not the whole of RewardBench." in said[2]
    assert "What counts is" not in said[0] + said[4]


def test_notes_and_limits_of_the_ranking_are_told():
    text = page("published", study(), {}, NOTES)
    assert "Size alone would say X." in text
    assert "Nine lack figures." in text
    assert "Only what satisfies max_params_b=9 was ranked" in text


def test_without_a_ranking_the_page_says_how_to_make_one():
    tables = {name: frame for name, frame in study().items() if name != "recommendation"}
    assert "python -m rm_selection.recommend study=mine" in page("mine", tables, {}, {})


def test_sections_without_data_are_left_out():
    text = page("published", {"objectives": study()["objectives"]}, {}, {})
    assert re.findall(r'<h2 id="([a-z]+)"', text) == ["answer", "objectives", "limits", "sources"]
    assert "<article" not in text


def test_names_are_escaped_in_tables_words_and_figures():
    found = Reader(hostile())
    assert "alert(1)" in "".join(found.text)
    assert [tag for tag, _ in found.elements].count("script") == 1
    assert not [tag for tag, _ in found.elements if tag in ("img", "b", "i", "u", "s")]
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]
    tags = Counter(tag for tag, _ in found.elements)
    assert tags["svg"] == hostile().count("</svg>") == len(drawn()) + 1  # and a curve of training
    assert tags["table"] == hostile().count("</table>")


def test_nothing_is_loaded_from_anywhere():
    for tag, attributes in Reader(hostile()).elements:
        for name in ("src", "href", "xlink:href", "data", "action"):
            target = attributes.get(name) or ""
            assert target == "" or target.startswith("#") or tag == "a"
    assert not re.search(r"url\((?!#)|@import|<link|<iframe|<object", hostile())
    links = [attributes["href"] for tag, attributes in Reader(hostile()).elements if tag == "a"]
    assert {link for link in links if not link.startswith(("#", "https://arxiv.org/"))} == set(FILES)


def test_ids_are_unique_and_every_reference_has_its_target():
    elements = Reader(hostile()).elements
    ids = Counter(attributes["id"] for _, attributes in elements if "id" in attributes)
    assert max(ids.values()) == 1
    references = {
        attributes["href"][1:] for _, attributes in elements if (attributes.get("href") or "").startswith("#")
    }
    references |= set(re.findall(r"url\(#([^)]+)\)", hostile()))
    references |= {attributes["aria-labelledby"] for _, attributes in elements if "aria-labelledby" in attributes}
    assert references <= set(ids)


def test_figures_are_images_with_a_label_and_follow_the_pages_inks():
    images = [attributes for tag, attributes in Reader(hostile()).elements if tag == "svg"]
    assert all(image["role"] == "img" and image["aria-label"] for image in images)
    assert not [ink for ink in FIGURE_INKS if f"fill: {ink}" in hostile()]


def test_the_page_knows_every_figure_and_every_ink():
    assert set(FIGURES) == set(plots.PLOTS)
    assert set(INKS) == set(FIGURE_INKS)


def test_missing_numbers_are_dashes_never_zero():
    frame = pd.DataFrame({"model": ["a", None], "predicted": [np.nan, 0.0], "low": [np.nan, -1.0], "high": [1.0, 1.04]})
    rows = view("recommendation", "", frame).rows
    assert [(cell.text, cell.interval, cell.number) for cell in rows[0]] == [("a", "", None), ("\u2013", "", None)]
    assert [cell.text for cell in rows[1]] == ["\u2013", "0.0"]
    assert rows[1][1].interval == "[\u22121.0, 1.0]"


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (81.25, 1, "81.2"),
        (-0.04, 1, "0.0"),
        (-0.5, 2, "\u22120.50"),
        (0.0004, 3, "<0.001"),
        (12, None, "12"),
        (12.0, None, "12.00"),
        (float("inf"), 1, "\u221e"),
        (None, 1, "\u2013"),
        (pd.NA, 2, "\u2013"),
        ("", None, "\u2013"),
        (True, None, "True"),
    ],
)
def test_values_are_written_for_people(value, decimals, text):
    assert written(value, decimals) == text


def test_any_low_and_high_join_the_column_between_them():
    frame = pd.DataFrame({"n": [40], "mae": [3.3], "mae_low": [2.6], "mae_high": [3.9], "mae_only_low": [1.0]})
    made = view("predictor", "", frame)
    assert [name for name, _, _ in made.columns] == ["n", "mae", "mae_only_low"]
    assert [(cell.text, cell.interval) for cell in made.rows[0]] == [("40", ""), ("3.3", "[2.6, 3.9]"), ("1.00", "")]


def test_the_interval_of_a_score_stands_with_the_score_not_with_its_seconds():
    row = {"model": "a", "score": [82.6], "seconds": [6.4], "low": [80.4], "high": [84.9]}
    (made,) = view("scores", "", pd.DataFrame(row)).rows
    assert [(cell.text, cell.interval) for cell in made[1:]] == [("82.6", "[80.4, 84.9]"), ("6.40", "")]


def test_true_and_false_are_yes_and_no():
    shown = view("recommendation", "", pd.DataFrame({"tied": [True, False]}))
    assert [cell.text for (cell,) in shown.rows] == ["yes", "no"]
    assert not shown.columns[0][2]


def test_a_long_table_is_cut_and_says_so():
    made = view("recommendation", "", pd.DataFrame({"rank": range(MOST + 5)}))
    assert len(made.rows) == MOST
    assert f"first {MOST} of {MOST + 5}" in made.note


def test_long_tables_are_folded_and_all_but_the_shortest_filtered():
    text = page("published", study(), {}, {})
    correlation = text[text.index('id="table-correlation-1"') :]
    assert correlation.index("<details") < correlation.index("<input") < correlation.index("<table")
    objectives = text[text.index('id="table-objectives-1"') :]
    assert objectives.index("<input") < objectives.index("<table")
    gains = text[text.index('id="table-gains-1"') : text.index('id="correlation"')]
    assert "<input" not in gains


def test_remarks_on_a_basis_stand_in_the_table_of_all_candidates_not_with_the_answer():
    ranking = pd.concat([study()["recommendation"]] * 3, ignore_index=True)
    ranking["rank"] = range(1, 25)
    text = page("published", {"recommendation": ranking.iloc[::-1]}, {}, {})
    first, every = text.split('id="top"')[1].split('id="all-candidates"')
    assert "<td>predicted*</td>" in first
    assert "* with figures filled in or outside the fitted range" in first
    assert "olv2_musr imputed; params_b outside the fitted range" not in first
    assert "olv2_musr imputed; params_b outside the fitted range" in every
    assert "olv2_musr imputed" in page("published", study(), {}, {}).split('id="top"')[1]  # the only table


def test_tables_and_figures_link_to_the_files_beside_the_page():
    text = page("published", study(), drawn(), {}, {}, FILES)
    assert '<a class="file" href="tables/gains.csv" download>CSV</a>' in text
    assert '<a class="file" href="figures/gains.png" download>PNG</a>' in text
    assert "tables/coverage.csv" not in text  # it does not lie there


def test_a_checkpoint_is_linked_wherever_a_table_names_it():
    text = page("published", study() | checkpoints(), {}, {})
    assert '<a href="#checkpoint/maker-qwen-0">maker/qwen-0</a>' in text
    assert '<article class="sheet" id="checkpoint/maker-qwen-0"' in text
    assert text.count("<article") == len(MODELS)


def test_the_page_of_a_checkpoint_tells_all_that_is_known_of_it():
    text = page("published", study() | checkpoints(), {}, {}, charts(checkpoints()["curves"], slugs(MODELS)))
    sheet = text[text.index('id="checkpoint/maker-qwen-0"') : text.index('id="checkpoint/maker-qwen-1"')]
    told = " ".join("".join(Reader(sheet).text).split())
    for words in ("measured, regression: 88.0 points [86.0, 90.0], place 1 of 8", "In the ranking: place 1 of 8"):
        assert words in told
    for words in ("0f1e2d", "always the longer answer", "out of memory", "lm_eval 0.4.13, 0-shot", "2 of 2", "seed 2"):
        assert words in told


def test_every_header_is_a_button_and_says_what_it_means():
    text = page("published", study(), {}, {})
    assert text.count('<th scope="col"') == text.count('"><button type="button">')
    assert 'title="probability_top_1: probability of being the best of all candidates (share, 0-1)"' in text


def test_columns_of_the_study_are_described():
    shown = {name: frame for name, frame in (study() | checkpoints() | COSTS).items() if name != "features"}
    names = {(name, column) for name, frame in shown.items() for column in frame.columns}
    unknown = {column for name, column in names if described(name, column).meaning == "described by its name only"}
    ends = {column for column in unknown if column in ("low", "high") or column.endswith(("_low", "_high"))}
    assert unknown - ends == {"olv2_bbh"}
    assert all(column.unit and column.meaning for column in COLUMNS.values())


def test_an_unknown_table_is_shown_at_the_end():
    text = page("published", {"surprise": pd.DataFrame({"finding": ["unexpected"]})}, {}, {})
    assert text.index("Further tables") < text.index("unexpected")


def test_loadings_stand_one_row_a_benchmark():
    variance, loadings = views("factors", study()["factors"])
    assert "25" in variance.note
    assert [cell.text for cell in loadings.rows[0]] == ["olv2_bbh", "0.95", "\u22120.30"]


def test_scripts_styles_handlers_and_foreign_references_leave_a_figure():
    inside = (
        "<script>alert(1)</script><style>*{color:red}</style><foreignObject><p/></foreignObject>"
        '<g onclick="alert(1)"><path id="p" d="M 0 0" style="fill: url(https://example.org/x)"/>'
        '<use xlink:href="#p"/><use xlink:href="https://example.org/y"/><image href="data:,x"/></g>'
    )
    text = inline("one", SVG.format(inside), "A <title>", {})
    assert not re.search(r"script|style>|foreign|onclick|example|image", text)
    assert '<path id="one-p" d="M 0 0" />' in text
    assert '<use href="#one-p" />' in text
    assert 'aria-label="A &lt;title&gt;"' in text


@pytest.mark.parametrize("text", ["", "<svg", "not a figure", SVG.replace("viewBox", "box").format(""), "<p>text</p>"])
def test_a_broken_figure_is_told_in_a_sentence(text):
    with pytest.raises(StudyError, match=r"figures/gains\.svg is no SVG.*; run regress again"):
        inline("gains", text, "", {})


def test_the_page_of_a_whole_study_stays_small():
    assert len(hostile().encode()) < 2_000_000
