import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from rm_selection import studies
from rm_selection.errors import StudyError
from rm_selection.studies import read_tables, recover, replacing, write_recommendation, write_study, write_table

UNICODE = pd.DataFrame({"model": ["模型/é", 'a "b", c', "<b>[x]"], "score": [1.5, None, 3.0]})


@pytest.fixture
def target(tmp_path) -> Path:
    """A folder that holds a.txt and b.txt, both `old`."""
    folder = tmp_path / "study" / "tables"
    folder.mkdir(parents=True)
    fill(folder, "old")
    return folder


def fill(folder: Path, text: str) -> None:
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(text, encoding="utf-8")


def content(folder: Path) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())]


def beside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.parent.iterdir())


def write(folder: Path, text: str) -> None:
    with replacing(folder) as fresh:
        fill(fresh, text)


def test_a_new_folder_takes_the_place_of_the_old_one(target):
    (target / "c.txt").touch()
    write(target, "new")
    assert content(target) == ["new", "new"]
    assert beside(target) == ["tables"]


def test_a_first_folder_is_made_with_its_parents_and_may_be_read_by_others(tmp_path):
    write(tmp_path / "x" / "y" / "tables", "new")
    assert content(tmp_path / "x" / "y" / "tables") == ["new", "new"]
    assert (tmp_path / "x" / "y" / "tables").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, StudyError])
def test_a_block_that_fails_leaves_the_old_folder_whole(target, error):
    def failing() -> None:
        with replacing(target) as fresh:
            (fresh / "a.txt").touch()
            raise error

    with pytest.raises(error):
        failing()
    assert content(target) == ["old", "old"]
    assert beside(target) == ["tables"]


def test_a_full_disk_is_one_sentence_and_leaves_the_old_folder_whole(target):
    def failing() -> None:
        with replacing(target):
            raise OSError(28, "No space left on device")

    with pytest.raises(StudyError, match=r"tables cannot be written \(No space left on device\); choose another with"):
        failing()
    assert content(target) == ["old", "old"]


@pytest.mark.parametrize("moment", [1, 2])
def test_an_interrupt_between_the_renames_leaves_the_old_folder_whole(target, monkeypatch, moment):
    rename, calls = Path.rename, []

    def interrupted(self: Path, other: Path) -> Path:
        calls.append(other)
        if len(calls) == moment:
            raise KeyboardInterrupt
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(target, "new")
    assert content(target) == ["old", "old"]
    assert beside(target) == ["tables"]


KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from rm_selection import studies

def dying(call, moments):
    def called(*args, **options):
        moments.append(call)
        if len(moments) == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **options)
    return called

moments = []
Path.rename = dying(Path.rename, moments)
Path.chmod = dying(Path.chmod, moments)
shutil.rmtree = dying(shutil.rmtree, moments)
with studies.replacing(Path(sys.argv[1])) as fresh:
    for name in ("a.txt", "b.txt"):
        (fresh / name).write_text("new")
print(len(moments))
"""


def killed_at(moment: int, folder: Path) -> int:
    """Write `folder` in a process that kills itself before its n-th rename, chmod or removal; its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(studies.__file__).parents[1]))
        return subprocess.run([sys.executable, "-c", KILLED, folder, str(moment)], check=False).returncode


def test_a_writer_killed_at_any_moment_leaves_the_old_folder_or_the_new_one(target):
    found = []
    for moment in (2, 3, 4, 5):  # before: removing the last but one, the two renames, removing the old
        write(target, "old")
        assert killed_at(moment, target) == -9
        recover(target)
        found.append(content(target))
    assert found == [["old", "old"]] * 3 + [["new", "new"]]
    write(target, "newer")
    assert content(target) == ["newer", "newer"]


def between_the_renames(target: Path) -> None:
    """Leave what a writer leaves that is killed after it took the old folder away."""
    target.rename(target.with_name(".tables.previous"))
    target.with_name(".tables.abcd1234").mkdir()


def test_a_reader_takes_the_old_tables_back(target):
    write_table(target, "predictor", UNICODE)
    between_the_renames(target)
    assert list(read_tables(target.parent)) == ["predictor"]


def test_a_ranking_written_after_a_killed_writer_keeps_the_old_tables(target):
    write_table(target, "predictor", UNICODE)
    between_the_renames(target)
    write_recommendation(target.parent, UNICODE, [], [], {})
    assert sorted(read_tables(target.parent)) == ["predictor", "recommendation"]


def test_a_half_written_table_is_no_table(target):
    write_table(target, "predictor", UNICODE)
    (target / ".other.parquet.123").write_bytes(b"PAR1")
    (target / ".other.parquet").write_bytes(b"PAR1")
    assert list(read_tables(target.parent)) == ["predictor"]


def test_what_a_killed_writer_left_is_removed_a_day_later_and_no_sooner(target):
    names = [".tables.abcd1234", ".tables.efgh5678", ".figures.abcd1234", "kept"]
    for name in names:
        target.with_name(name).mkdir()
    yesterday = time.time() - studies.STALE_S - 60
    for name in (names[0], *names[2:]):
        os.utime(target.with_name(name), (yesterday, yesterday))
    write(target, "new")
    assert beside(target) == [".figures.abcd1234", ".tables.efgh5678", "kept", "tables"]


BUSY = """
import sys, time
from pathlib import Path
from rm_selection.studies import recover, replacing
rename = Path.rename
Path.rename = lambda old, new: (rename(old, new), time.sleep(0.003))  # the others meet us between two renames
print("ready", flush=True)
sys.stdin.readline()
for _ in range(25):
    recover(Path(sys.argv[1]))
    with replacing(Path(sys.argv[1])) as fresh:
        for name in ("a.txt", "b.txt"):
            (fresh / name).write_text(sys.argv[2])
"""


def test_two_writers_at_a_time_end_with_one_whole_folder(target):
    words = [sys.executable, "-c", BUSY, str(target)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen([*words, text], **pipes) for text in ("one", "two")]
    for writer in writers:
        writer.stdout.readline()  # both have loaded the program
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    said = [writer.communicate(timeout=60)[1] for writer in writers]
    assert said == ["", ""]
    assert content(target) in (["one", "one"], ["two", "two"])
    assert beside(target) == ["tables"]


def test_a_study_cannot_be_written_where_a_file_is(tmp_path):
    (tmp_path / "taken").touch()
    message = r"taken/mine/tables cannot be written \(Not a directory\); choose another with output="
    with pytest.raises(StudyError, match=message):
        write_study(tmp_path / "taken" / "mine", {}, {}, lambda folder: None)
    with pytest.raises(StudyError, match=r"taken/mine cannot be written \(Not a directory\); choose another with"):
        write_recommendation(tmp_path / "taken" / "mine", UNICODE, [], [], {})
    assert (tmp_path / "taken").is_file()


def test_a_study_is_written_whole(tmp_path):
    write_study(tmp_path, {"predictor": UNICODE}, {"é": "ü"}, lambda folder: (folder / "x.svg").touch() or None)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()) == [
        "figures/x.svg",
        "summaries/é.txt",
        "tables/predictor.csv",
        "tables/predictor.parquet",
    ]
    assert (tmp_path / "summaries" / "é.txt").read_text(encoding="utf-8") == "ü"


def test_a_figure_that_fails_leaves_the_old_study_whole(tmp_path):
    def failing(folder: Path) -> None:
        raise ZeroDivisionError

    write_study(tmp_path, {"predictor": UNICODE}, {"a": "old"}, lambda folder: None)
    with pytest.raises(ZeroDivisionError):
        write_study(tmp_path, {"predictor": UNICODE.head(1)}, {"a": "new"}, failing)
    assert len(read_tables(tmp_path)["predictor"]) == 3
    assert (tmp_path / "summaries" / "a.txt").read_text(encoding="utf-8") == "old"


def test_a_new_study_keeps_the_ranking_and_drops_tables_it_no_longer_has(tmp_path):
    write_study(tmp_path, {"predictor": UNICODE, "gone": UNICODE}, {}, lambda folder: None)
    write_recommendation(tmp_path, UNICODE, [], [], {})
    write_study(tmp_path, {"predictor": UNICODE}, {}, lambda folder: None)
    assert sorted(read_tables(tmp_path)) == ["predictor", "recommendation"]
    assert (tmp_path / "tables" / "recommendation.csv").exists()


def test_a_ranking_keeps_the_other_tables(tmp_path):
    write_study(tmp_path, {"predictor": UNICODE}, {}, lambda folder: None)
    path = write_recommendation(tmp_path, UNICODE.head(1), ["é"], ["warned"], {"top": 10, "licence": ("mit",)})
    assert path == tmp_path / "tables" / "recommendation.csv"
    assert {name: len(frame) for name, frame in read_tables(tmp_path).items()} == {"predictor": 3, "recommendation": 1}


def test_text_of_any_script_comes_back_from_csv_and_parquet(tmp_path):
    write_table(tmp_path, "names", UNICODE)
    for frame in (pd.read_csv(tmp_path / "names.csv"), pd.read_parquet(tmp_path / "names.parquet")):
        pd.testing.assert_frame_equal(frame, UNICODE, check_dtype=False)


def test_a_table_is_written_to_the_same_bytes_each_time(tmp_path):
    write_table(tmp_path, "names", UNICODE)
    first = content_bytes(tmp_path)
    write_table(tmp_path, "names", UNICODE)
    assert content_bytes(tmp_path) == first


def content_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("made", [False, True])
def test_a_study_without_tables_says_what_to_run(tmp_path, made):
    folder = tmp_path / "mine"
    if made:
        write_recommendation(folder, UNICODE, [], [], {})
    message = r"mine/tables holds no fitted study; run: python -m rm_selection\.regress study=mine"
    with pytest.raises(StudyError, match=message):
        read_tables(folder)


@pytest.mark.parametrize(
    "text", ["=cmd|' /C calc'!A0", "@SUM(1)", "+1+cmd|x", "-2*A1", "\t=1", " =1", "-1 (a)", '=HYPERLINK("http://x")']
)
def test_a_formula_is_a_text_in_the_csv_and_left_as_it_is_in_the_parquet(tmp_path, text):
    frame = pd.DataFrame({"model": [text, None], text: [1.5, -2.5]})
    write_table(tmp_path, "models", frame)
    tamed = pd.read_csv(tmp_path / "models.csv")
    assert tamed["model"][0] == f"'{text}"
    assert list(tamed[f"'{text}"]) == [1.5, -2.5]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "models.parquet"), frame, check_dtype=False)


@pytest.mark.parametrize(
    "text", ["+15.5%, then 3 to 5% lost", "-0.21 [-0.40, 0.02]", "a=b", "Qwen/Qwen2.5-7B", "'quoted'"]
)
def test_words_and_numbers_with_a_sign_stay_as_they_are(tmp_path, text):
    write_table(tmp_path, "claims", pd.DataFrame({"found": [text]}))
    assert list(pd.read_csv(tmp_path / "claims.csv")["found"]) == [text]
