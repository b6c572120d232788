"""Boards of a study: every panel names what a real cell logged, files load back, nothing is sent without a key."""

import json
import subprocess
import sys
from pathlib import Path

import made_study
import pytest
import tiny_world
from test_tracking import events, nowhere  # noqa: F401 - nowhere is a fixture
from test_train import call, only, words, world  # noqa: F401 - world is a fixture

from rm_selection import boards, dashboards, logged, posttrain, publishing, runs, tracking, train

KEY = "k" * 40


@pytest.fixture
def study(tmp_path, nowhere) -> Path:
    """Six bases, two objectives, three features; nothing is trained."""
    return made_study.study(tmp_path / "mine", 6)


@pytest.fixture
def keyed(study, monkeypatch) -> list[tuple[str, str]]:
    """A key and a network, and a W&B that keeps what is saved and answers with an id; returns what was saved."""
    saved: list[tuple[str, str]] = []

    def view(self):
        saved.append(("workspace", self._internal_id))
        self._internal_name, self._internal_id = "nw-abc-v", "view-id"

    def page(self):
        saved.append(("report", self.id))
        self.id = "page-id"

    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_ENTITY", "team")
    monkeypatch.setattr(tracking, "reachable", lambda: True)
    monkeypatch.setattr(tracking, "tracker", lambda *_: tracking.NoTracker())
    monkeypatch.setattr("wandb.Api", lambda: None)
    for place in ("workspaces.interface", "reports.v2.interface"):
        monkeypatch.setattr(f"wandb_workspaces.{place}.get_app_url", lambda _: "https://wandb.test")
    monkeypatch.setattr(boards.ws.Workspace, "save", view)
    monkeypatch.setattr(boards.wr.Report, "save", page)
    return saved


def show(folder: Path, *settings: str) -> int:
    return call(dashboards, f"output={folder.parent}", f"study={folder.name}", *settings)


def spec(folder: Path, name: str) -> dict:
    return json.loads((folder / "dashboards" / f"{name}.json").read_text())


def panels(value) -> list[dict]:
    """Every panel of a specification."""
    if isinstance(value, list):
        return [panel for one in value for panel in panels(one)]
    if not isinstance(value, dict):
        return []
    return ([value] if "viewType" in value else []) + [panel for one in value.values() for panel in panels(one)]


def names(found: list[dict]) -> set[str]:
    """What panels plot, as `<where>:<name>`; where is summary, config, history, or column of a table."""
    plotted: set[str] = set()
    for panel in found:
        config = panel["config"]
        if panel["viewType"] == "Vega2":
            plotted |= {f"column:{name}" for name in config["fieldSettings"].values()}
        elif panel["viewType"] == "Scatter Plot":
            plotted |= {config["xAxis"], config["yAxis"]}
        elif panel["viewType"] == "Parallel Coordinates Plot":
            plotted |= {column["accessor"] for column in config["columns"]}
        else:
            where = "history" if panel["viewType"] == "Run History Line Plot" else "summary"
            plotted |= {f"{where}:{name}" for name in config["metrics"]}
            plotted |= {f"history:{config['xAxis']}"} if "xAxis" in config else set()
    return {name.replace(".value", "") if name.startswith("config:") else name for name in plotted}


def flat(value, prefix: str = "") -> set[str]:
    if not isinstance(value, dict):
        return {prefix}
    return {name for key, one in value.items() for name in flat(one, f"{prefix}.{key}" if prefix else key)}


def told(folder: Path) -> set[str]:
    """What an offline run holds, named as `names` names it."""
    found: set[str] = set()
    for event in events(folder):
        if event["type"] == "run":
            found |= {f"config:{name}" for name in flat(event["run"]["config"]["update"])}
        elif event["type"] == "summary":
            found |= {f"summary:{name}" for name in flat(event["summary"]["update"])}
        elif event["type"] == "history":
            found |= {f"history:{name}" for name in event["history"]["item"]}
    return found


def columns(folder: Path) -> set[str]:
    (path,) = (folder / "dashboards" / "points" / "wandb").glob("offline-run-*/files/media/table/*.json")
    return {f"column:{name}" for name in json.loads(path.read_text())["columns"]}


def test_panels_name_what_a_cell_logs(world, tmp_path, nowhere):
    line = [word for word in words(world, f"output={tmp_path}", "study=real") if word != "tracking=off"]
    quick = ("training.max_steps=2", "objective.rates=[1e-5,3e-3]", "tracking=wandb", "tracking.mode=offline")
    assert call(train, *line, *quick) == 0
    folder = tmp_path / "real"
    figure = made_study.measured(0, "probe", {"accuracy": 55.0}, 1.0)
    figure["checkpoint"] = runs.read_record(only(folder))["checkpoint"]
    made_study.write(folder, figure, "features")
    assert show(folder) == 0
    shown = names(panels([spec(folder, "workspace"), spec(folder, "report")]))
    assert shown <= told(only(folder)) | columns(folder)
    assert {f"history:rate {rate}/{name}" for rate in ("1e-05", "0.003") for name in ("loss", "accuracy")} <= shown
    assert {"history:step", "summary:scores.jsonl.score", "summary:cost.seconds", "config:params_b"} <= shown
    assert {"column:probe_accuracy", "column:jsonl_bradley_terry", "history:rate 0.003/validation_accuracy"} <= shown


def test_panels_of_stages_name_what_making_one_logs(tmp_path, nowhere, monkeypatch):
    tiny_world.write(tmp_path)
    line = [word for word in tiny_world.words(tmp_path, "study=made", "stage=sft") if word != "tracking=off"]
    assert call(posttrain, *line, "tracking=wandb", "tracking.mode=offline") == 0
    (made,) = (tmp_path / "outputs" / "made" / "stages").iterdir()
    assert {"summary:improvement.change", "history:loss", "history:step"} <= told(made)


def test_without_a_key_files_are_written_and_the_way_to_publish_is_told(study, capsys):
    assert show(study) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == [f"{name}: {study}/dashboards/{name}.json" for name in ("workspace", "report")]
    assert out[2] == "to publish: `wandb login`, then the same command"
    assert out[3] == f"to publish offline runs: wandb sync {study}/*/*/wandb/offline-run-*"
    assert len(out) == 4


def test_the_command_told_finds_the_offline_runs(study, capsys):
    assert show(study) == 0
    command = capsys.readouterr().out.splitlines()[-1].split(": ", 1)[1]
    dry = f"{Path(sys.executable).parent}/{command} --dry-run"
    found = subprocess.run(dry, shell=True, capture_output=True, text=True, check=True)
    assert "Would sync 1 run(s)" in found.stderr


def test_files_load_back_with_the_library_that_wrote_them(study):
    assert show(study) == 0
    view = boards.ws.Workspace._from_model(
        sys.modules["wandb_workspaces.workspaces.internal"].View.model_validate(spec(study, "workspace"))
    )
    assert [section.name for section in view.sections] == ["Scores by base and objective", "Cost"]
    assert view.runset_settings.filters == "Metric(\"Group\") == 'mine'"
    page = boards.wr.Report._from_model(
        sys.modules["wandb_workspaces.reports.v2.internal"].ReportViewspec.model_validate(spec(study, "report"))
    )
    assert page.title == "Reward models of study mine"
    charts = [panel for block in page.blocks for panel in getattr(block, "panels", [])]
    assert sum(isinstance(one, boards.wr.CustomChart) for one in charts) == 2 * boards.SHOWN


def test_scores_are_drawn_against_the_figures_that_go_with_them_first(study):
    points = logged.beside(study)
    assert len(points.table) == 24
    mine = [pair.figure for pair in points.pairs if pair.score == "held_out_regression"]
    assert set(mine) == {
        "benchmarks_sums", "benchmarks_facts", "benchmarks_code", "presence_wiki", "presence_books", "probe_accuracy",
    }  # fmt: skip
    closest = points.table[[*mine, "held_out_regression"]].rank().corr()["held_out_regression"][mine].abs()
    assert list(closest) == sorted(closest, reverse=True)


def test_the_report_tells_the_best_run_with_its_interval(study):
    text = json.dumps(spec(study, "report")) if show(study) == 0 else ""
    best = max((one for one in runs.records(study)), key=lambda one: one["scores"]["held_out"]["score"])
    low, high = best["scores"]["held_out"]["intervals"]["score"]
    assert f"{best['checkpoint']['name']}, regression: {(low + high) / 2:.1f} [{low:.1f}, {high:.1f}]" in text


def test_stages_have_panels_where_there_are_several(study):
    later = made_study.trained(0, "regression", 1, 70.0)
    later["checkpoint"]["stage"] = "made-sft"
    made_study.write(study, later | {"run_id": "sft"})
    made = {"status": "finished", "run_id": "base00@made-sft", "checkpoint": later["checkpoint"]}
    made_study.write(study, made, "stages")
    assert show(study) == 0
    assert {"summary:improvement.change", "history:loss"} <= names(panels(spec(study, "workspace")))
    report = json.dumps(spec(study, "report"))
    assert '"name": "stages", ' in report
    assert '"stage.value"' in report


def test_a_study_where_nothing_was_measured_says_what_measures(tmp_path, nowhere):
    made_study.write(tmp_path / "mine", made_study.trained(0, "regression", 1, 70.0))
    assert show(tmp_path / "mine") == 0
    assert "python -m rm_selection.measure study=mine" in json.dumps(spec(tmp_path / "mine", "report"))


def test_names_that_mean_something_elsewhere_stay_names(tmp_path, nowhere):
    record = made_study.trained(0, "regression", 1, 70.0)
    record["scores"] = {'a "b".c${x}': record["scores"]["held_out"], "a.b.c.x": record["scores"]["held_out"]}
    record["checkpoint"] |= {"base": '<b>ü" or 1', "name": '<b>ü" or 1@pretrained', "params_b": None}
    made_study.write(tmp_path / "mine.1-_", record)
    figure = made_study.measured(0, "probe", {"a.b[0]": 1.0, "a b(0)": 2.0, "ü": 3.0}, 1.0)
    made_study.write(tmp_path / "mine.1-_", figure | {"checkpoint": record["checkpoint"]}, "features")
    assert show(tmp_path / "mine.1-_") == 0
    table = columns(tmp_path / "mine.1-_")
    assert len(table) == len(logged.FACTS) + 2 + 3
    assert all(name[7:].replace("_", "").isalnum() and name.isascii() for name in table)
    assert names(panels(spec(tmp_path / "mine.1-_", "report"))) >= {'summary:scores.a "b".c${x}.score'}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["study=absent"], "has no finished run to show; train some with python -m rm_selection.train"),
        (["study=published"], "study=published has no runs to show; give study=NAME"),
        (["study=mine", "tracking=off"], "tracking=off leaves nothing to show"),
    ],
)
def test_what_cannot_be_shown_is_told_in_a_sentence(settings, sentence, tmp_path, capsys):
    assert call(dashboards, f"output={tmp_path}", *settings) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(study, capsys):
    (study / "dashboards").write_text("")
    assert show(study) == 2
    assert f"error: {study}/dashboards cannot be written" in capsys.readouterr().err


def test_a_damaged_training_log_is_named(study, capsys):
    (run, *_) = sorted((study / "runs").iterdir(), reverse=True)
    (run / "log.jsonl").write_text("{")
    assert show(study) == 2
    assert "log.jsonl is not a training log" in capsys.readouterr().err


def test_with_a_key_pages_are_published_and_later_brought_up_to_date(study, keyed, monkeypatch, capsys):
    monkeypatch.setattr(boards.wr.Runset, "_to_model", lambda self: pytest.fail("asks the server"))
    monkeypatch.setattr(publishing, "write", lambda *_: ("w", "r"))
    assert show(study) == show(study) == 0
    assert keyed == [("workspace", ""), ("report", ""), ("workspace", "view-id"), ("report", "page-id")]
    out = capsys.readouterr().out
    assert "workspace published: https://wandb.test/team/rm-selection?nw=abc\n" in out
    assert (
        "report published: https://wandb.test/team/rm-selection/reports/Reward-models-of-study-mine--page-id\n" in out
    )
    assert "to publish" not in out


def test_pages_of_another_project_are_no_earlier_ones(study, keyed):
    assert show(study) == show(study, "tracking.project=other") == 0
    assert keyed[2:] == [("workspace", ""), ("report", "")]


def test_a_damaged_note_of_earlier_pages_makes_new_ones(study, keyed):
    (study / "dashboards").mkdir()
    (study / "dashboards" / "published.json").write_text("{")
    assert show(study) == 0
    assert keyed == [("workspace", ""), ("report", "")]


def test_offline_sends_nothing_whatever_key_there_is(study, keyed, capsys):
    assert show(study, "tracking.mode=offline") == 0
    assert keyed == []
    assert "to publish: the same command with tracking.mode=auto\n" in capsys.readouterr().out


def test_a_key_without_a_network_is_an_error_beside_the_files(study, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert show(study) == 2
    assert "http://127.0.0.1:9 cannot be reached; connect, then repeat the command" in capsys.readouterr().err
    assert spec(study, "report")["displayName"] == "Reward models of study mine"


def refusal(status: int, text: str) -> Exception:
    error = RuntimeError(text)
    error.response = type("Response", (), {"http_status": status})()
    return error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (refusal(401, "no"), "W&B does not accept the key (no); run `wandb login --relogin`"),
        (refusal(403, "denied"), "may not write to project rm-selection (denied); set WANDB_ENTITY"),
        (ValueError("project 'team/x' not found"), "may not write to project rm-selection"),
        (TimeoutError("slow"), "W&B gave no answer (slow); connect"),
        (RuntimeError(), "W&B's client says RuntimeError; correct that"),
    ],
)
def test_a_refusal_is_one_sentence_with_what_to_do(error, sentence, study, keyed, monkeypatch, capsys):
    def fail(_):
        raise error

    monkeypatch.setattr(boards.ws.Workspace, "save", fail)
    assert show(study) == 2
    (told,) = capsys.readouterr().err.strip().splitlines()
    assert told.startswith(f"error: the dashboards were not published, their specification is in {study}/dashboards: ")
    assert sentence in told
