"""Where a sweep stands, seen in folders written by hand, in a real sweep while it runs, and after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import made_study
import pytest
import ranks
import test_train
from rich.console import Console
from test_train import call, words, world  # noqa: F401 - world is a fixture

from rm_selection import bradley_terry, cell_states, measure, posttrain, runs, status, status_view, sweeps
from rm_selection.activity import activity
from rm_selection.cell_states import DONE, FAILED, NOT_BEGUN, RUNNING, SKIPPED, STOPPED, WAITING

WAITS = "runs/new@pretrained__pairs__regression__s1-0a"


def failed(place: int, reason: str, state: str = "failed") -> runs.Record:
    return made_study.trained(place, "regression", 9, 0) | {"status": state, "reason": reason}


@pytest.fixture
def study(tmp_path, monkeypatch) -> Path:
    """Two cells done, one failed, one skipped, one measured, one killed; further ones are added by the tests."""
    folder = tmp_path / "mine"
    for seed, score in ((1, 70.0), (2, 74.0)):
        made_study.write(folder, made_study.trained(0, "regression", seed, score))
    made_study.write(folder, failed(1, "loss is [b]nan[/b] at step 7;\nlower the rate"))
    made_study.write(folder, failed(2, "no stage rlvr", "skipped"))
    measured = made_study.measured(0, "probe", {"accuracy": 55.0}, 3.0)
    made_study.write(folder, measured | {"run_id": "base00@sft__probe-0"}, "features")
    (folder / "features" / "hidden_states").mkdir()  # no cell
    with runs.locked(folder / "runs" / "base03@pretrained__pairs__regression__s1-0a"):
        pass
    monkeypatch.setattr(sys, "argv", [])
    return folder


def states(folder: Path) -> dict[str, str]:
    """By the folder's name."""
    return {cell.folder.name.partition("__")[0]: cell.state for cell in cell_states.cells(folder, sweeps.read(folder))}


def told(folder: Path, capsys, *given: str) -> str:
    """What the command prints."""
    assert call(status, f"output={folder.parent}", f"study={folder.name}", *given) == 0
    return capsys.readouterr().out


def test_every_cell_is_in_the_state_that_its_folder_tells(study):
    found = states(study)
    assert found == {
        "base00@pretrained": DONE,
        "base00@sft": DONE,
        "base01@pretrained": FAILED,
        "base02@pretrained": SKIPPED,
        "base03@pretrained": STOPPED,
    }


def test_a_cell_runs_as_long_as_its_lock_is_held(study):
    with runs.locked(study / "runs" / "base03@pretrained__pairs__regression__s1-0a"):
        assert states(study)["base03@pretrained"] == RUNNING
    assert states(study)["base03@pretrained"] == STOPPED


def test_what_a_live_sweep_has_not_come_to_waits_and_after_it_was_not_begun(study):
    names = [path.name for path in (study / "runs").iterdir()]
    with sweeps.kept():
        time.sleep(0.01)  # the clock of a file system may be that coarse
        sweeps.write(study, "train", ["base=..."], {WAITS: 1.0} | {f"runs/{name}": None for name in names})
        found = states(study)
        assert found["new@pretrained"] == WAITING
        assert found["base01@pretrained"] == WAITING, "it failed before, and is tried again"
        assert (found["base03@pretrained"], found["base00@pretrained"]) == (WAITING, DONE)
        time.sleep(0.01)
        made_study.write(study, failed(1, "again"))
        assert states(study)["base01@pretrained"] == FAILED
    assert states(study) == states(study) | {"new@pretrained": NOT_BEGUN, "base03@pretrained": STOPPED}


def test_the_view_tells_counts_scores_and_reasons_as_they_stand(study, capsys):
    out = told(study, capsys)
    assert out.startswith("mine: 3 of 6 cells done\n")
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line}
    assert rows["train"][2:] == ["2", "0", "0", "1", "1", "1"]
    assert rows["measure"][2:] == ["1", "0", "0", "0", "0", "0"]
    assert rows["base00"] == ["base00", "3", "0", "0", "0", "0", "72.0"]
    name = "base01@pretrained__pairs__regression__s9"
    assert f"failed: {name}: loss is [b]nan[/b] at step 7; lower the rate\n" in out
    assert "stopped: base03@pretrained__pairs__regression__s1-0a: will go on with the same command\n" in out
    assert max(len(line) for line in out.splitlines() if not line.startswith(("failed", "stopped"))) <= 100


def test_scores_that_do_not_fit_are_named_rather_than_names_broken(study, capsys, monkeypatch):
    known = made_study.trained(5, "regression", 1, 70.0)
    benchmarks = ("a_long_name_of_a_benchmark", "rewardbench", "rm_bench")
    scores = dict.fromkeys(benchmarks, known["scores"]["held_out"])
    made_study.write(study, known | {"scores": scores})
    monkeypatch.setattr(status_view, "_OUT", Console(width=75))
    out = told(study, capsys)
    rows = [line.split() for line in out.splitlines() if line.startswith("base05")]
    assert rows == [["base05", "1", "0", "0", "0", "0", "70.0"]]
    assert "a_long_name_of_a_benchmark\n" in out
    left = next(line for line in out.splitlines() if line.startswith("more scores: "))
    assert left.endswith("regression rewardbench, regression rm_bench; a wider terminal shows them")
    monkeypatch.setattr(status_view, "_OUT", Console(width=110))
    assert "more scores" not in told(study, capsys)


def test_a_state_that_is_the_only_other_one_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [])
    made_study.write(tmp_path / "mine", failed(2, "half of the steps were wanted", "partial"))
    names = next(line for line in told(tmp_path / "mine", capsys).splitlines() if line.startswith("base "))
    assert names.split() == ["base", "done", "running", "waiting", "failed", "partial"]


def test_an_ended_sweep_is_told_with_the_command_that_goes_on(study, capsys):
    with sweeps.kept():
        sweeps.write(study, "train", ["base=glob(q*)", "seed=1,2"], {WAITS: 1.0})
    command = "python -m rm_selection.train -m 'base=glob(q*)' seed=1,2"
    assert f"the last sweep of train ended; 1 of its 1 cells go on with: {command}\n" in told(study, capsys)


def test_time_left_and_its_basis_are_told(study, capsys):
    """base00 took 10 s; the new base is twice as large, so 20 s are left."""
    (study / "runs" / "base03@pretrained__pairs__regression__s1-0a" / ".lock").unlink()
    (study / "runs" / "base03@pretrained__pairs__regression__s1-0a").rmdir()
    with sweeps.kept():
        sweeps.write(study, "train", [], {WAITS: 0.2})
        out = told(study, capsys)
    assert "left about 20 s" in out
    assert "estimated from finished cells (1 from the base nearest in size), one at a time, since none runs" in out


def test_nothing_finished_leaves_the_time_unknown(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [])
    with sweeps.kept():
        sweeps.write(tmp_path / "mine", "train", [], {WAITS: 1.0})
        out = told(tmp_path / "mine", capsys)
    assert "left unknown" in out
    assert "no finished cell tells what those that are left will take (1)" in out


def test_a_damaged_record_is_a_failed_cell_with_the_way_out(study, capsys):
    (study / "runs" / "base01@pretrained__pairs__regression__s9" / "run.json").write_text("{")
    assert "remove the folder to run again" in told(study, capsys)


def test_a_study_that_is_none_is_refused_with_those_there_are(study, capsys):
    assert call(status, f"output={study.parent}", "study=other") == 2
    assert capsys.readouterr().err.endswith(f"study=other has no runs, features or stages; {study.parent} has mine\n")
    assert call(status, f"output={study.parent / 'none'}", "study=other") == 2
    assert "has none; train writes the first" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["every=0", "every=nan", "rows=0"])
def test_settings_have_ranges(study, capsys, given):
    assert call(status, f"output={study.parent}", "study=mine", given) == 2
    assert "is not allowed; give" in capsys.readouterr().err


def test_a_long_list_is_cut_and_says_how_to_see_it(study, capsys):
    for place in range(4, 9):
        made_study.write(study, failed(place, "no memory"))
    out = told(study, capsys, "rows=2")
    assert out.count("\nfailed: ") == 2
    assert "more cells that failed: 4; rows=6 shows them\n" in out


def test_following_ends_when_nothing_runs_or_waits(study, capsys, monkeypatch):
    """The one cell that waits is done while the command sleeps."""
    name = WAITS.removeprefix("runs/")
    with sweeps.kept():
        sweeps.write(study, "train", [], {WAITS: 1.0})
        done = made_study.trained(0, "regression", 3, 60.0) | {"run_id": name}
        monkeypatch.setattr(status_view.time, "sleep", lambda _: made_study.write(study, done))
        assert told(study, capsys, "follow=true").startswith("mine: 4 of 7 cells done")


def test_following_ends_with_code_0_when_the_user_interrupts(study, capsys, monkeypatch):
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with sweeps.kept():
        sweeps.write(study, "train", [], {WAITS: 1.0})
        monkeypatch.setattr(status_view.time, "sleep", interrupt)
        assert "3 of 7 cells done" in told(study, capsys, "follow=true")


def test_a_thousand_cells_are_counted_and_shown_in_a_screen(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [])
    folder = tmp_path / "mine"
    for place in range(50):
        for seed in range(16):
            made_study.write(folder, made_study.trained(place, "regression", seed, 50.0 + seed))
    planned = {
        f"runs/base{place:02}@pretrained__pairs__regression__s{n}": 1.0 for place in range(50) for n in range(20)
    }
    with sweeps.kept():
        sweeps.write(folder, "train", [], planned)
        out = told(folder, capsys)
    assert out.startswith("mine: 800 of 1000 cells done\n")
    row = next(line.split() for line in out.splitlines() if line.startswith("base07"))
    assert row == ["base07", "16", "0", "4", "0", "57.5"]
    assert len(out.splitlines()) < 50


def test_neither_torch_nor_pandas_is_loaded(study):
    code = """import sys; from rm_selection.status import main; main()
print("loaded:", *{"torch", "pandas", "numpy", "transformers"} & set(sys.modules))"""
    command = [sys.executable, "-c", code, f"output={study.parent}", "study=mine"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].strip() == "loaded:"


def test_a_real_sweep_is_seen_while_its_second_cell_trains(world, monkeypatch, capsys):
    folder, real, seen = world / "outputs" / "seen", bradley_terry.train, []

    def train_and_look(rm, pairs, validation, protocol, run):
        found = real(rm, pairs, validation, protocol, run)
        known = sweeps.read(folder)
        cells = {cell.seed: cell for cell in cell_states.cells(folder, known)}
        seen.append(({seed: cell.state for seed, cell in cells.items()}, activity(cells[str(protocol.seed)].folder)))
        return found

    monkeypatch.setattr(bradley_terry, "train", train_and_look)
    assert call(test_train.train, "-m", *words(world, "study=seen"), "seed=0,1,2") == 0
    found, running = seen[1]
    assert found == {"0": DONE, "1": RUNNING, "2": WAITING}
    assert (running.rate, running.step, running.steps) == (3e-3, 6, 6)
    assert running.figure is not None
    assert running.figure[0] == "validation_accuracy"
    assert running.wrote is not None
    assert time.time() - running.wrote < 60
    capsys.readouterr()
    out = told(folder, capsys)
    assert out.startswith("seen: 3 of 3 cells done\n")
    assert "nothing runs, left none" in out


def test_a_killed_cell_is_shown_as_stopped(world, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [])
    folder = world / "outputs" / "shot"
    slow = words(world, "study=shot", "objective.epochs=50", "training.max_steps=300")
    (process,) = ranks.start(ranks.command, *slow)
    while process.is_alive() and not list(folder.rglob("whole.json")):
        time.sleep(0.005)
    running = told(folder, capsys)
    process.kill()
    assert ranks.wait([process]) == [-signal.SIGKILL]
    row = next(line for line in running.splitlines() if line.startswith("local@instruct"))
    assert "bradley_terry" in row
    assert "/300" in row
    assert "0.003" in row
    assert "will go on with the same command" in told(folder, capsys)


@pytest.mark.parametrize(
    ("command", "given", "planned"),
    [
        (measure, ("feature=presence,probe", "feature.pairs=x"), 0),
        (measure, ("feature=presence",), 2),
        (posttrain, ("stage=sft,dpo", "tracking=off"), 4),
    ],
)
def test_what_other_commands_will_record_is_planned_as_well(tmp_path, monkeypatch, command, given, planned):
    """Without the Hub each cell fails at once, a chain at its first stage; cells with wrong settings are no cells."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(sys, "argv", [])
    assert call(command, "-m", "base=qwen2.5-0.5b,qwen2.5-1.5b", *given, f"output={tmp_path}", "study=mine") == 2
    known = sweeps.read(tmp_path / "mine")
    assert sum(len(sweep.cells) for sweep in known) == planned
    found = [cell.state for cell in cell_states.cells(tmp_path / "mine", known)]
    assert sorted(found) == sorted([FAILED] * min(2, planned) + [NOT_BEGUN] * (planned - 2))


def test_a_log_whose_last_line_is_half_written_still_tells_how_far_it_is(tmp_path):
    place = tmp_path / "training" / "rate-1e-06"
    place.mkdir(parents=True)
    (place / "log.jsonl").write_text(json.dumps({"step": 41, "loss": 0.5}) + '\n{"step": 4')
    found = activity(tmp_path)
    assert (found.rate, found.step, found.steps, found.figure) == (1e-6, 41, None, None)


def test_a_cell_without_a_log_is_known_by_the_files_it_writes(tmp_path):
    (tmp_path / ".lock").touch()
    os.utime(tmp_path / ".lock", (5, 5))
    assert activity(tmp_path).wrote == 5


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (59.4, "59 s"), (61, "1 min 1 s"), (660, "11 min"), (3725, "1 h 2 min"), (180_000, "2 d 2 h")],
)
def test_a_time_is_told_in_its_two_largest_units(seconds, text):
    assert status_view.span(seconds) == text
