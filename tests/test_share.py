"""Results written for others, read back, and fitted beside one's own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import datasets
import made_study
import pandas as pd
import pytest
from made_study import command

from rm_selection import recommend, regress, report, runs, share, shared_folder, study_tables
from rm_selection.errors import StudyError, TableError
from rm_selection.gathered import gathered

HOSTILE = "loss | nan <script>alert(1)</script>\n# [x](javascript:1) `a` ![i](http://e) *b*"
QUICK = ("resamples=100", "jobs=1")


def run(place=0, seed=1, score=70.0, **settings) -> runs.Record:
    return made_study.trained(place, "regression", seed, score, **settings)


def failed(place=7, reason="out of memory", **more) -> runs.Record:
    record = run(place, seed=9) | {"status": "failed", "kind": "defect", "reason": reason} | more
    return {name: value for name, value in record.items() if name not in ("checkpoint", "scores", "training", "cost")}


def shared(folder: Path, *records: runs.Record, features=(), to: str = "share") -> Path:
    """A folder that somebody with these records wrote."""
    study = folder / f"study-{to}"
    for record in records:
        made_study.write(study, record)
    for record in features:
        made_study.write(study, record, "features")
    shared_folder.write(study, folder / to, "cc-by-4.0")
    return folder / to


def scores(known) -> list[float]:
    return study_tables.runs(known, "regression")["score"].tolist()


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    """A study with a failed run, its results, and what regress makes of it."""
    folder = tmp_path_factory.mktemp("outputs")
    made_study.study(folder / "mine")
    made_study.write(folder / "mine", failed(reason=HOSTILE))
    assert command(regress.main, folder, *QUICK) == 0
    assert command(share.main, folder) == 0
    return folder


@pytest.fixture(scope="module")
def theirs(output, tmp_path_factory) -> Path:
    """What regress makes of the shared folder alone, in a study without a run."""
    folder = tmp_path_factory.mktemp("elsewhere")
    assert command(regress.main, folder, f"results={output / 'mine' / 'share'}", *QUICK) == 0
    return folder


def test_tables_made_of_a_shared_folder_are_those_of_its_study(output, theirs):
    own = {path.name for path in (output / "mine" / "tables").glob("*.csv")}
    assert {path.name for path in (theirs / "mine" / "tables").glob("*.csv")} == own | {"sources.csv"}
    for name in own - {"recommendation.csv"}:
        one, two = ((folder / "mine" / "tables" / name).read_text() for folder in (output, theirs))
        assert one == two, name


def test_a_ranking_of_a_shared_folder_is_that_of_its_study(output, theirs):
    results = f"results=[{output / 'mine' / 'share'}]"
    assert [command(recommend.main, output), command(recommend.main, theirs, results)] == [0, 0]
    one, two = ((folder / "mine" / "tables" / "recommendation.csv").read_text() for folder in (output, theirs))
    assert one == two
    header = json.loads((theirs / "mine" / "recommendation.json").read_text())["header"]
    assert f"{output / 'mine' / 'share'}: 64 runs, 48 measurements." in header


def test_the_report_says_where_the_records_come_from(theirs):
    assert command(report.main, theirs) == 0
    text = (theirs / "mine" / "report.html").read_text()
    assert "Where the records come from" in text
    table = pd.read_csv(theirs / "mine" / "tables" / "sources.csv")
    assert table["runs"].tolist() == [0, 64]
    assert table["failed"].tolist() == [0, 1]


def test_one_row_more_moves_the_fit(output, tmp_path):
    made_study.write(tmp_path / "mine", run(place=16, score=95.0))
    probe = made_study.measured(16, "probe", {"accuracy": 50.0}, 0.3)
    made_study.write(tmp_path / "mine", probe, "features")
    assert command(regress.main, tmp_path, f"results={output / 'mine' / 'share'}", *QUICK) == 0
    tables = [pd.read_csv(folder / "mine" / "tables" / "predictor.csv") for folder in (output, tmp_path)]
    before, after = (table.query("objective == 'regression'").iloc[0] for table in tables)
    assert (before["n"], after["n"]) == (16, 17)
    assert before["mae"] != after["mae"]


def test_the_same_study_is_written_in_the_same_bytes(output, tmp_path):
    there = {path.name: path.read_bytes() for path in (output / "mine" / "share").iterdir()}
    assert set(there) == {"README.md", "runs.parquet", "scores.parquet", "features.parquet", "documents.parquet"}
    assert command(share.main, output, f"to={tmp_path / 'again'}", "licence=cc-by-4.0") == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == there


@pytest.mark.parametrize(("name", "rows"), [("runs", 65), ("scores", 192), ("features", 96), ("documents", 960)])
def test_datasets_opens_every_file_offline(output, tmp_path, monkeypatch, name, rows):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    found = datasets.load_dataset(str(output / "mine" / "share"), name, split="train", cache_dir=str(tmp_path))
    assert found.num_rows == rows
    assert "run_id" in found.column_names


def test_failed_runs_are_rows_and_nothing_is_fitted_on_them(output, theirs):
    table = pd.read_parquet(output / "mine" / "share" / "runs.parquet").set_index("run_id")
    row = table[table["status"] == "failed"].iloc[0]
    assert row[["base", "stage", "seed", "reason"]].tolist() == ["base07", "pretrained", 9, HOSTILE]
    assert pd.isna(row["score"])
    assert 9 not in set(pd.read_csv(theirs / "mine" / "tables" / "runs.csv")["seed"])


def test_names_and_reasons_are_no_markup_in_the_card(output):
    text = (output / "mine" / "share" / "README.md").read_text()
    (line,) = (line for line in text.splitlines() if "alert" in line)
    assert line.endswith(
        r"| failed | loss \| nan &lt;script&gt;alert\(1\)&lt;/script&gt; \# \[x\]\(javascript:1\) \`a\` "
        r"\!\[i\]\(http://e\) \*b\* |"
    )


def test_every_column_stands_in_the_card(output):
    text = (output / "mine" / "share" / "README.md").read_text()
    for path in (output / "mine" / "share").glob("*.parquet"):
        for column in pd.read_parquet(path).columns:
            assert f"| `{column}` |" in text


def test_no_path_of_this_machine_is_in_any_file(tmp_path):
    data, weights = tmp_path / "secret" / "train.jsonl", "a" * 64
    record = run(dataset={"name": "jsonl", "repo": None, "train": str(data), "validation": "../secret/v.jsonl"})
    record["checkpoint"] |= {"source": str(tmp_path / "secret" / "base")}
    record["inputs"] = {"checkpoint": weights, "train": "b" * 64}
    measured = made_study.measured(0, "benchmarks", {"sums": 1.0}, 1.0, how=f"folder {tmp_path}/secret/tasks")
    measured["settings"]["feature"] |= {"suite": str(tmp_path / "secret" / "suite"), "evalplus": "~/secret/plus"}
    broken = failed(reason=f"{data} cannot be read (file://{tmp_path}/secret/x, C:\\secret\\y), see https://a.b/c")
    target = shared(tmp_path, record, broken, features=[measured | {"inputs": {"checkpoint": str(data)}}])
    tables = {path.stem: pd.read_parquet(path) for path in target.glob("*.parquet")}
    text = (target / "README.md").read_text() + "".join(table.to_csv() for table in tables.values())
    assert "secret" not in text
    assert str(tmp_path) not in text
    row = tables["runs"].query("status == 'finished'").iloc[0]
    assert row["fingerprint"] == weights
    assert pd.isna(row["source"])
    assert json.loads(row["protocol"])["dataset"]["train"] == "sha256:bbbbbbbbbbbbbbbb"
    reason = tables["runs"].query("status == 'failed'")["reason"].item()
    assert reason == "train.jsonl cannot be read (x, y), see https://a.b/c"
    assert tables["features"]["how"].item() == "folder tasks"


def test_a_run_that_is_there_twice_counts_once(tmp_path):
    folders = [shared(tmp_path, run(), run(place=1), to=name) for name in ("a", "b")]
    made_study.write(tmp_path / "mine", run())
    assert scores(gathered(tmp_path / "mine", folders)) == [70, 70]


def test_a_run_on_the_same_data_under_another_path_counts_once(tmp_path):
    def under(path: str) -> runs.Record:
        record = run(dataset={"name": "jsonl", "repo": None, "train": path}) | {"run_id": f"base00@x__{len(path)}__s1"}
        return record | {"inputs": {"train": "b" * 64}}

    made_study.write(tmp_path / "mine", under("/here/train.jsonl"))
    assert scores(gathered(tmp_path / "mine", [shared(tmp_path, under("there.jsonl"))])) == [70]


def test_the_same_run_with_other_figures_is_refused_with_both(tmp_path):
    made_study.write(tmp_path / "mine", run(score=71.0))
    folder = shared(tmp_path, run())
    told = rf"told in two ways: scores.held_out.score is 71.0 in .* of .*mine and 70.0 in .* of {folder}; leave one"
    with pytest.raises(StudyError, match=told):
        gathered(tmp_path / "mine", [folder])


def test_another_protocol_is_refused_with_its_first_difference_and_the_way_out(tmp_path, capsys):
    made_study.write(tmp_path / "mine", run(precision="float32"))
    folder = shared(tmp_path, run(place=1, precision="bf16"))
    assert command(regress.main, tmp_path, f"results={folder}", *QUICK) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "precision is float32 in base00@pretrained__pairs__regression__s1 (this study) and bf16 in base01" in said
    assert said.endswith("or take them together all the same with mix_protocols=true\n")


def test_a_setting_that_only_the_first_run_has_is_a_difference(tmp_path):
    made_study.write(tmp_path / "mine", run(search="climb"))
    with pytest.raises(StudyError, match=r"search is climb in base00.* and None in base01"):
        scores(gathered(tmp_path / "mine", [shared(tmp_path, run(place=1))]))


def test_precision_auto_is_what_the_device_makes_of_it(tmp_path):
    made_study.write(tmp_path / "mine", run(precision="auto") | {"cost": {"seconds": 1.0, "device": "cpu"}})
    other = run(place=1, precision="auto") | {"cost": {"seconds": 1.0, "device": "NVIDIA H100"}}
    with pytest.raises(StudyError, match=r"precision is float32 in base00.* and bf16 in base01"):
        scores(gathered(tmp_path / "mine", [shared(tmp_path, other)]))


def test_mixed_protocols_are_taken_when_asked_and_told_in_tables_ranking_and_report(tmp_path, capsys):
    made_study.write(tmp_path / "mine", run(precision="float32"))
    folder = shared(tmp_path, *(run(place, precision="bf16") for place in (1, 2)))
    words = (f"results={folder}", "mix_protocols=true")
    assert command(regress.main, tmp_path, *words, *QUICK) == 0
    told = f"warning: the runs of {folder} were made otherwise, regression: precision is bf16, elsewhere float32."
    assert told in capsys.readouterr().out
    assert command(recommend.main, tmp_path, *words) == 0
    assert command(report.main, tmp_path) == 0
    text = (tmp_path / "mine" / "report.html").read_text()
    assert text.count("regression: precision is bf16, elsewhere float32") == 2


def test_scores_on_other_pairs_are_never_mixed(tmp_path):
    def on(pairs: str, place: int) -> runs.Record:
        record = run(place, evaluation={"held_out": {"path": "test.jsonl"}})
        record["scores"]["held_out"]["data_sha256"] = pairs * 64
        return record

    made_study.write(tmp_path / "mine", on("a", 0))
    known = gathered(tmp_path / "mine", [shared(tmp_path, on("b", 1))], mixes=True)
    with pytest.raises(StudyError, match=r"evaluation.held_out.pairs is sha256:aaaa.*keep them in two studies$"):
        scores(known)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"family": "other"}, "base00@pretrained is not the same everywhere: its family is llama in .* and other in"),
        ({"inputs": "b"}, r"its fingerprint is aaaa.* of this study and bbbb.* of .*share; leave one of the two"),
    ],
)
def test_one_name_for_two_checkpoints_is_refused(tmp_path, changed, told):
    inputs = {"checkpoint": changed.get("inputs", "a") * 64}
    made_study.write(tmp_path / "mine", run() | {"inputs": {"checkpoint": "a" * 64}})
    other = run(seed=2) | {"inputs": inputs}
    other["checkpoint"] = other["checkpoint"] | {name: one for name, one in changed.items() if name != "inputs"}
    with pytest.raises(StudyError, match=told):
        gathered(tmp_path / "mine", [shared(tmp_path, other)])


def test_features_of_another_harness_are_refused(tmp_path):
    one, two = (
        made_study.measured(place, "benchmarks", {"mmlu": 60.0}, 1.0, how=how)
        for place, how in ((0, "lm-eval 0.4.13"), (1, "lm-eval 0.4.3"))
    )
    made_study.write(tmp_path / "mine", one, "features")
    with pytest.raises(StudyError, match=r"'lm-eval 0.4.13' in base00.* and 'lm-eval 0.4.3' in base01"):
        study_tables.features(gathered(tmp_path / "mine", [shared(tmp_path, features=[two])]))


def test_a_figure_measured_twice_with_the_same_result_counts_once(tmp_path):
    one = made_study.measured(0, "probe", {"accuracy": 60.0}, 1.0)
    made_study.write(tmp_path / "mine", one, "features")
    folder = shared(tmp_path, features=[one | {"run_id": one["run_id"] + "-0"}])
    assert study_tables.features(gathered(tmp_path / "mine", [folder]))["probe.accuracy"].tolist() == [60]


def test_scored_pairs_travel_so_that_stages_compare(tmp_path):
    record = run()
    made_study.write(tmp_path / "study-share", record)
    rows = {"evaluation": "held_out", "id": ["1", "2"], "subset": "chat", "reward_chosen": 2.0, "reward_rejected": 1.0}
    pd.DataFrame(rows).to_parquet(tmp_path / "study-share" / "runs" / record["run_id"] / "scores.parquet")
    known = gathered(tmp_path / "mine", [shared(tmp_path, record)])
    assert known.pairs(record["run_id"])["id"].tolist() == ["1", "2"]


def spoil(folder: Path, table: str, /, **changes) -> None:
    path = folder / f"{table}.parquet"
    pd.read_parquet(path).assign(**changes).to_parquet(path)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda f: [path.unlink() for path in f.iterdir()], "holds neither runs.parquet nor features.parquet"),
        (lambda f: (f / "runs.parquet").write_bytes(b"PAR1"), r"runs\.parquet is no Parquet file .*copy the whole"),
        (lambda f: (f / "scores.parquet").unlink(), r"lacks scores\.parquet, which its README\.md names"),
        (lambda f: spoil(f, "runs", score=71.0), r"has score 71.0 in runs\.parquet and 70.0 in scores\.parquet"),
        (lambda f: spoil(f, "runs", status="done"), r"row 1, column status: 'done' is not allowed; it holds finished,"),
        (lambda f: spoil(f, "runs", base="a\nb"), r"row 1, column base: 'a\\nb' is not allowed; it holds base model"),
        (lambda f: spoil(f, "runs", seed=None), "row 1: a finished run has a seed"),
        (lambda f: spoil(f, "runs", protocol="{}"), "row 1: protocol_id does not stand for the protocol beside it"),
        (lambda f: spoil(f, "runs", family=None), "row 1: a finished row has base, stage, family and seconds"),
        (lambda f: spoil(f, "scores", score=170.0), r"column score: 170.0 is not allowed; it holds accuracy, 0-100"),
        (lambda f: spoil(f, "scores", run_id="x"), r"scores\.parquet has no score of base00"),
        (lambda f: spoil(f, "features", name="a"), "row 2: .*probe a is there already; keep one"),
        (lambda f: spoil(f, "features", value=None), "row 1: a finished row has feature, name and value"),
        (lambda f: pd.DataFrame({"a": [1]}).to_parquet(f / "runs.parquet"), r"runs\.parquet has no column run_id"),
    ],
)
def test_a_damaged_folder_is_refused_in_a_sentence(tmp_path, damage, told):
    probe = made_study.measured(0, "probe", {"accuracy": 60.0, "logme": 1.0}, 1.0)
    folder = shared(tmp_path, run(), features=[probe])
    damage(folder)
    with pytest.raises(TableError, match=told):
        gathered(tmp_path / "mine", [folder])


def test_a_missing_folder_is_named(tmp_path, capsys):
    assert command(regress.main, tmp_path, "results=[nowhere]", *QUICK) == 2
    assert "results=nowhere is no folder; give one that python -m rm_selection.share wrote" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("main", "words", "told"),
    [
        (share.main, ("study=published",), "study=published is not allowed; give a study of your own"),
        (share.main, (), "mine has no runs and no features to share; train or measure first"),
        (share.main, ("licence='a b'",), "licence=a b is not allowed"),
        (share.main, ("to=",), "to= is not allowed; give a folder, or null"),
        (regress.main, ("study=published", "results=[a]"), "the shipped figures were made in another way"),
        (regress.main, ("results=[1]",), "results=[1] is not allowed; give folders that share wrote, as [a,b]"),
    ],
)
def test_what_cannot_be_is_one_sentence(tmp_path, capsys, main, words, told):
    assert command(main, tmp_path, *words) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("there", ["folder", "file"])
def test_what_share_did_not_write_is_never_replaced(tmp_path, capsys, there):
    made_study.write(tmp_path / "mine", run())
    target = tmp_path / "papers"
    kept = target if there == "file" else target / "thesis.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("years of work")
    assert command(share.main, tmp_path, f"to={target}") == 2
    assert "give another with to=" in capsys.readouterr().err
    assert kept.read_text() == "years of work"


def test_reward_models_of_others_are_not_shared(tmp_path):
    scored = run() | {"run_id": "me-rm__as-it-is__evaluation__s0-1", "settings": {"model": "/me/rm"}}
    del scored["checkpoint"]
    folder = shared(tmp_path, run(place=1), scored)
    assert pd.read_parquet(folder / "runs.parquet")["base"].tolist() == ["base01"]


def test_help_needs_neither_pandas_nor_pyarrow(tmp_path):
    code = (
        "import sys; sys.argv = ['share', '--help']; from rm_selection.share import main; main(); "
        "print(sorted({'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(share.__file__).parents[1])}
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")
