import fcntl
import json
import multiprocessing
import os
import signal
import threading
import time

import pytest

from rm_selection.errors import RunError, StudyError
from rm_selection.runs import (
    finished,
    held,
    locked,
    provenance,
    read_parts,
    read_record,
    records,
    run_id,
    write_record,
)

SETTINGS = {"training": {"rate": 1e-6, "epochs": 1}, "stage": "instruct"}
INPUTS = {"data_sha256": "ab", "commit": "cd"}
DONE = {"status": "finished", "settings": SETTINGS, "inputs": INPUTS, "scores": {"jsonl": {"score": 71.5}}}


def test_a_run_is_named_by_what_it_is():
    name = run_id("qwen2@instruct", "helpsteer2", "regression", 3, SETTINGS)
    assert name.startswith("qwen2@instruct__helpsteer2__regression__s3-")
    assert name == run_id("qwen2@instruct", "helpsteer2", "regression", 3, dict(reversed(SETTINGS.items())))


def test_another_setting_is_another_run():
    other = {**SETTINGS, "training": {"rate": 2e-6, "epochs": 1}}
    assert run_id("a@sft", "d", "regression", 0, SETTINGS) != run_id("a@sft", "d", "regression", 0, other)


def test_a_record_comes_back_as_it_was(tmp_path):
    write_record(tmp_path / "run", DONE)
    assert read_record(tmp_path / "run") == DONE
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["run.json"]


def test_a_folder_without_a_record_never_happened(tmp_path):
    assert read_record(tmp_path / "run") is None
    assert not finished(tmp_path / "run", SETTINGS, INPUTS)


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_only_a_finished_run_is_finished(tmp_path, status):
    write_record(tmp_path, {**DONE, "status": status})
    assert not finished(tmp_path, SETTINGS, INPUTS)


def test_equal_settings_and_inputs_are_finished(tmp_path):
    write_record(tmp_path, DONE)
    assert finished(tmp_path, SETTINGS, INPUTS)


def test_changed_data_is_refused_with_both_values(tmp_path):
    write_record(tmp_path, DONE)
    with pytest.raises(RunError, match=r"was finished with data_sha256=ab, now it is xx; choose another study="):
        finished(tmp_path, SETTINGS, {**INPUTS, "data_sha256": "xx"})


def test_a_changed_nested_setting_is_named_whole(tmp_path):
    write_record(tmp_path, DONE)
    with pytest.raises(RunError, match=r"training.epochs=1, now it is 2"):
        finished(tmp_path, {**SETTINGS, "training": {"rate": 1e-6, "epochs": 2}}, INPUTS)


@pytest.mark.parametrize("text", ["{", "[]", '{"status": "perhaps"}', ""])
def test_a_damaged_record_is_refused_with_the_way_out(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunError, match="remove the folder to run again"):
        read_record(tmp_path)


def test_a_number_that_is_not_finite_is_refused_and_the_old_record_stays(tmp_path):
    write_record(tmp_path, DONE)
    with pytest.raises(RunError, match="holds what JSON cannot"):
        write_record(tmp_path, {**DONE, "scores": {"score": float("nan")}})
    assert json.loads((tmp_path / "run.json").read_text()) == DONE


def test_an_unwritable_place_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="cannot be written"):
        write_record(tmp_path / "file" / "run", DONE)


def test_one_of_two_processes_gets_the_run(tmp_path):
    with locked(tmp_path / "run") as first, locked(tmp_path / "run") as second:
        assert (first, second) == (True, False)
    with locked(tmp_path / "run") as again:
        assert again


def _hold_and_die(folder):
    with locked(folder):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_leaves_no_lock(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=_hold_and_die, args=(tmp_path / "run",))
    process.start()
    process.join()
    with locked(tmp_path / "run") as ours:
        assert ours


def test_who_looks_at_a_lock_learns_whether_it_is_held_and_takes_nothing(tmp_path):
    lock = tmp_path / "run" / ".lock"
    assert not held(lock), "nobody was there yet"
    with locked(tmp_path / "run") as first:
        assert (first, held(lock), held(lock)) == (True, True, True)
    assert not held(lock)


def test_a_run_is_got_while_somebody_looks(tmp_path):
    with locked(tmp_path):
        pass
    with (tmp_path / ".lock").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.005, lambda: fcntl.flock(looking, fcntl.LOCK_UN)).start()
        with locked(tmp_path) as ours:
            assert ours
        time.sleep(0.01)  # the look is over before its file is closed


def test_the_lock_tells_when_it_was_got(tmp_path):
    with locked(tmp_path):
        os.utime(tmp_path / ".lock", (1, 1))
    with locked(tmp_path):
        assert time.time() - (tmp_path / ".lock").stat().st_mtime < 60


def test_parts_of_a_record_are_those_of_the_whole(tmp_path):
    record = DONE | {"reason": 'a "reason": \n  "scores": {', "settings": {"scores": {"status": "failed"}}}
    write_record(tmp_path, record)
    names = ("status", "scores", "reason", "cost")
    assert read_parts(tmp_path, names) == {name: record[name] for name in names if name in record}
    assert read_parts(tmp_path / "none", names) is None


def test_parts_of_a_record_in_another_layout_are_found_too(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps(DONE))
    assert read_parts(tmp_path, ("status", "cost")) == {"status": "finished"}


@pytest.mark.parametrize(
    "text", ["{", '{\n  "status": "finished",\n  "scores": {', '{\n  "status": "perhaps"\n}\n', ""]
)
def test_parts_of_a_damaged_record_are_refused(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunError, match="remove the folder to run again"):
        read_parts(tmp_path, ("status", "scores"))


def test_the_records_of_a_study_are_listed_without_what_never_happened(tmp_path):
    for name in ("b", "a"):
        write_record(tmp_path / "runs" / name, {**DONE, "name": name})
    (tmp_path / "runs" / "killed").mkdir()
    assert [record["name"] for record in records(tmp_path)] == ["a", "b"]


def test_provenance_names_versions_and_seed():
    made = provenance(7)
    assert made["seed"] == 7
    assert "torch" in made["versions"]
