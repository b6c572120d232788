import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from own_study import own_study
from page_tables import study

from rm_selection import plots, report, studies


def run(monkeypatch: pytest.MonkeyPatch, *settings: str) -> int:
    monkeypatch.setattr(sys, "argv", ["report", *settings])
    try:
        report.main()
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def fill(folder: Path, *names: str) -> None:
    tables = {name: frame for name, frame in study().items() if not names or name in names}
    (folder / "tables").mkdir(parents=True)
    for name, frame in tables.items():
        studies.write_table(folder / "tables", name, frame)
    plots.save(plots.figures({"factors": study()["factors"]}), folder / "figures")


def test_the_report_is_written_and_its_path_printed(tmp_path, monkeypatch, capsys):
    fill(tmp_path / "mine")
    assert run(monkeypatch, "study=mine", f"output={tmp_path}") == 0
    written = tmp_path / "mine" / "report.html"
    assert capsys.readouterr().out == f"report: {written} ({len(written.read_bytes()) / 1e6:.1f} MB)\n"
    assert written.read_text().startswith("<!doctype html>")
    assert not list((tmp_path / "mine").glob(".*"))


def test_the_ranking_is_drawn_where_regress_did_not(tmp_path, monkeypatch):
    fill(tmp_path / "mine")
    run(monkeypatch, "study=mine", f"output={tmp_path}")
    assert (tmp_path / "mine" / "figures" / "recommendation.svg").exists()
    text = (tmp_path / "mine" / "report.html").read_text()
    assert 'aria-label="Score of the best candidates, measured or expected, with 90% intervals"' in text
    assert 'aria-label="Variance explained by each principal component"' in text


def test_a_study_of_ones_own_gets_curves_costs_and_files_beside_the_report(tmp_path, monkeypatch):
    own_study(tmp_path / "mine")
    assert run(monkeypatch, "study=mine", f"output={tmp_path}") == 0
    beside = {path.relative_to(tmp_path / "mine").as_posix() for path in (tmp_path / "mine").rglob("*.*")}
    assert {"figures/checkpoints/maker-qwen-0-regression-loss.svg", "figures/cost.png"} <= beside
    assert {f"tables/{name}.csv" for name in ("curves", "spent", "frontier", "checkpoint_scores")} <= beside
    text = (tmp_path / "mine" / "report.html").read_text()
    links = set(re.findall(r'href="([^"#:]+)"', text))
    assert links
    assert links <= beside


def test_a_second_report_is_the_same_as_the_first(tmp_path, monkeypatch):
    own_study(tmp_path / "mine")
    run(monkeypatch, "study=mine", f"output={tmp_path}")
    first = (tmp_path / "mine" / "report.html").read_bytes()
    run(monkeypatch, "study=mine", f"output={tmp_path}")
    assert (tmp_path / "mine" / "report.html").read_bytes() == first


def test_what_an_earlier_report_added_is_not_taken_for_the_studys(tmp_path, monkeypatch):
    fill(tmp_path / "mine", "predictor")
    studies.write_table(tmp_path / "mine" / "tables", "spent", pd.DataFrame({"what": ["long ago"]}))
    run(monkeypatch, "study=mine", f"output={tmp_path}")
    assert "long ago" not in (tmp_path / "mine" / "report.html").read_text()


def test_a_damaged_training_log_is_told(tmp_path, monkeypatch, capsys):
    own_study(tmp_path / "mine")
    next((tmp_path / "mine").glob("runs/*/log.jsonl")).write_text("{")
    assert run(monkeypatch, "study=mine", f"output={tmp_path}") == 2
    assert "is not a training log" in capsys.readouterr().err


def test_how_the_ranking_was_made_is_read_from_its_file(tmp_path, monkeypatch):
    fill(tmp_path / "mine")
    (tmp_path / "mine" / "recommendation.json").write_text('{"header": ["Made by hand."], "warnings": []}')
    run(monkeypatch, "study=mine", f"output={tmp_path}")
    assert "Made by hand." in (tmp_path / "mine" / "report.html").read_text()


def test_a_study_without_ranking_and_figures_has_a_report(tmp_path, monkeypatch):
    fill(tmp_path / "mine", "predictor")
    assert run(monkeypatch, "study=mine", f"output={tmp_path}") == 0
    assert "rm_selection.recommend study=mine" in (tmp_path / "mine" / "report.html").read_text()


def test_a_missing_study_is_told_in_a_sentence_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, "study=absent", f"output={tmp_path}") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.rstrip().endswith("run: python -m rm_selection.regress study=absent")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"header": "one text"}'])
def test_a_broken_ranking_file_is_told_and_the_old_report_stays(text, tmp_path, monkeypatch, capsys):
    fill(tmp_path / "mine", "predictor")
    (tmp_path / "mine" / "report.html").write_text("old")
    (tmp_path / "mine" / "recommendation.json").write_text(text)
    assert run(monkeypatch, "study=mine", f"output={tmp_path}") == 2
    assert "recommendation.json is not what recommend writes; run recommend again" in capsys.readouterr().err
    assert (tmp_path / "mine" / "report.html").read_text() == "old"


def test_a_place_that_cannot_be_written_is_told(tmp_path, monkeypatch, capsys):
    fill(tmp_path / "mine", "predictor")
    (tmp_path / "mine" / "report.html").mkdir()
    assert run(monkeypatch, "study=mine", f"output={tmp_path}") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_help_imports_neither_pandas_nor_matplotlib(tmp_path):
    code = (
        "import sys; sys.argv = ['report', '--help']; from rm_selection.report import main; main(); "
        "print(sorted({'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    root = Path(report.__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Write the report of a study")
    assert done.stdout.rstrip().endswith("[]")
