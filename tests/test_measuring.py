"""What becomes of a measurement: recorded once, found again, skipped, failed or left to another process."""

import json
import sys
from pathlib import Path

import pytest
import tiny_models

from rm_selection import measure, runs
from rm_selection.features import Measured, presence

TEXTS = ['{"text": "the cat sat", "domain": "books"}', '{"text": "x = 1", "domain": "github"}']


@pytest.fixture
def world(tmp_path, monkeypatch) -> Path:
    """A base, documents, and a feature that counts how often it was asked."""
    tiny_models.checkpoint(tmp_path / "base")
    (tmp_path / "docs.jsonl").write_text("\n".join(TEXTS) + "\n")
    monkeypatch.setattr(presence, "measure", lambda *_: Measured({"books": -1.5}, {"books": "as told"}, {}, 7))
    return tmp_path


def call(world: Path, *words: str) -> int:
    base = ("base=local", f"base.path={world / 'base'}", "base.params_b=0.5", "feature=presence")
    line = ["measure", *base, f"feature.path={world / 'docs.jsonl'}", "study=mine", f"output={world / 'out'}", *words]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", line)
        try:
            measure.main()
        except SystemExit as left:
            return int(left.code or 0)
    return 0


def record(world: Path) -> tuple[Path, dict]:
    (path,) = (world / "out" / "mine" / "features").glob("*/run.json")
    return path.parent, json.loads(path.read_text())


def test_what_was_measured_is_one_record(world, capsys):
    assert call(world) == 0
    folder, found = record(world)
    assert found["status"] == "finished"
    assert found["values"] == {"books": -1.5}
    assert found["protocols"] == {"books": "as told"}
    assert found["checkpoint"]["name"] == "local@instruct"
    assert found["cost"]["tokens"] == 7
    assert set(found["inputs"]) == {"checkpoint", "path/docs.jsonl"}
    shown = " ".join(capsys.readouterr().out.split())
    assert "books -1.5 as told" in shown
    assert f"record: {folder}" in shown


def test_it_is_not_measured_twice(world, monkeypatch, capsys):
    assert call(world) == 0
    monkeypatch.setattr(presence, "measure", lambda *_: pytest.fail("measured again"))
    assert call(world) == 0
    assert "finished before" in capsys.readouterr().out


def test_other_documents_under_the_same_name_are_refused(world, capsys):
    assert call(world) == 0
    (world / "docs.jsonl").write_text(TEXTS[0] + "\n")
    assert call(world) == 2
    assert "docs.jsonl" in capsys.readouterr().err


def test_other_settings_are_another_measurement(world):
    assert call(world) == 0
    assert call(world, "feature.max_tokens=64") == 0
    assert len(list((world / "out" / "mine" / "features").glob("*/run.json"))) == 2


def test_a_failure_is_recorded_with_its_reason_and_tried_again(world, monkeypatch, capsys):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(presence, "measure", lambda *_: 1 / 0)
        assert call(world) != 0
    assert record(world)[1]["status"] == "failed"
    assert "division by zero" in record(world)[1]["reason"]
    assert "failed: ZeroDivisionError: division by zero" in capsys.readouterr().err
    assert call(world) == 0
    assert record(world)[1]["status"] == "finished"


def test_an_interrupt_is_recorded(world, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(presence, "measure", interrupted)
    assert call(world) == 130
    assert "interrupted" in json.dumps(record(world)[1]).lower()


def test_a_stage_that_is_not_published_is_skipped_in_a_sweep(world, capsys, monkeypatch):
    line = ["measure", "-m", "base=smollm2-135m,smollm2-360m", "stage=rlvr", "study=mine", f"output={world / 'out'}"]
    monkeypatch.setattr(sys, "argv", line)
    measure.main()
    assert capsys.readouterr().out.count("skipped: ") == 2
    for path in (world / "out").rglob("run.json"):
        assert json.loads(path.read_text())["status"] == "skipped"


def test_a_measurement_another_process_works_on_is_left_to_it(world, capsys):
    assert call(world) == 0
    folder, _ = record(world)
    (folder / "run.json").unlink()
    with runs.locked(folder):
        assert call(world) == 0
    assert "another process works on it" in capsys.readouterr().out


def test_a_missing_base_is_one_sentence(world, capsys):
    assert call(world, f"base.path={world / 'nowhere'}") != 0
    assert "nowhere" in capsys.readouterr().err + json.dumps(record(world)[1])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["feature.max_tokens=0"], "feature.max_tokens=0 is not allowed; give a whole number from 1"),
        (["stage=final"], "stage=final is not allowed"),
        (["feature.depth=3"], "feature.depth"),
    ],
)
def test_a_setting_that_is_not_allowed_is_one_sentence(world, capsys, words, said):
    assert call(world, *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
