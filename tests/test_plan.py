"""What sweeps would run, against counts and sums done by hand, and against what a real sweep then does."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from test_train import QUICK, call, world  # noqa: F401 - world is a fixture

from rm_selection import costs, loads, plan, plan_view, planned, runs, tables, train
from rm_selection.cell_states import DONE, FAILED
from rm_selection.checkpoints import load_base
from rm_selection.costs import Cost, named
from rm_selection.errors import ConfigError, StudyError

ROOT = Path(__file__).resolve().parents[1]
TULU = "base=tulu3-8b stage=pretrained,sft,dpo,rlvr"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [])


def made(*words: str) -> list[str]:
    """The commands that `make paper` would run."""
    found = subprocess.run(["make", "-n", "paper", *words], check=True, cwd=ROOT, capture_output=True, text=True)
    lines = re.findall(r"\.venv/bin/python -m rm_selection\.(.*)", found.stdout)
    return [" ".join(line.split()) for line in lines]


def swept(line: str) -> list[str]:
    return [" ".join(one.split()) for one in re.search(r"'sweeps=\[\"(.*)\"\]'", line)[1].split('","')]


def test_make_paper_plans_what_it_then_runs_and_asks_in_the_end_whether_all_is_done():
    first, *sweeps, regress, recommend, report, last = made("DEVICE=h100", "ARGS=hydra/launcher=slurm", "TRAIN=seed=1")
    assert swept(first) == swept(last) == sweeps
    assert len(sweeps) == 4
    assert all("hydra/launcher=slurm" in sweep for sweep in sweeps)
    assert [("seed=1" in sweep) for sweep in sweeps] == [False, False, True, True]
    assert (regress, recommend, report) == tuple(f"{name} study=paper" for name in ("regress", "recommend", "report"))
    assert first.endswith("device=h100")
    assert last.endswith("finished=true")


def test_a_dry_run_stops_at_the_plan():
    (only,) = made("DRY_RUN=1", "STUDY=mine")
    assert only.startswith("plan ")
    assert all("study=mine" in sweep for sweep in swept(only))


def test_bases_of_ones_own_are_taken_alone():
    first, *sweeps, _, _, _, _ = made("BASES=qwen2.5-0.5b,llama3.2-1b", "STUDY=two")
    assert swept(first) == sweeps
    assert [sweep.partition(" ")[0] for sweep in sweeps] == ["measure", "train"]
    assert all("base=qwen2.5-0.5b,llama3.2-1b" in sweep and TULU not in sweep for sweep in sweeps)


@pytest.fixture(scope="module")
def paper() -> planned.Plan:
    (only,) = made("DRY_RUN=1")
    return planned.plan(swept(only), named("h200"))


def test_the_paper_has_the_forty_models_and_what_its_table_1_adds(paper):
    """40 models and, of table 1, Hermes 3 and the bare Llama 3.1: 42 checkpoints x 2 objectives, and x 3 features."""
    models = [one for one in paper.cells if one.cell.command == "train"]
    names = {one.checkpoint for one in models}
    sources = {load_base(base).stages[stage].repo for base, _, stage in (name.partition("@") for name in names)}
    assert set(tables.published().models["model"]) < sources
    assert len(names) == len(sources) == 42
    assert (len(models), sum(one.trainings for one in models)) == (84, 840)
    forty = set(tables.published().models["model"])
    bare = {"meta-llama/Llama-3.1-8B", "NousResearch/Hermes-3-Llama-3.1-8B"}
    assert sources - forty == bare
    assert len(paper.cells) == 84 + 42 * 3


def test_the_papers_hours_by_hand(paper):
    """Ten rates: 6 operations a weight and token trained on, 2 a token validated, and 2 a token of RewardBench once."""
    each = loads.mean_length(120, 1.0, 900) + loads.mean_length(330, 0.6, 900)
    chat = loads.mean_length(70, 1.1, 500) + loads.mean_length(60, 1.1, 500)
    tokens = 10 * (2 * 20_324 * 6 + 32 * 1_038 * 2) * each + 2 * 2_985 * chat * 2
    weights = (tables.published().models["params_b"].sum() + 8.03 + 8.03) * 1e9
    reached = 19_723 * 1.236e9 * 6
    ((_, _, cells),) = [kind for kind in planned.by_kind(paper.cells) if kind[1] == "regression"]
    assert sum(one.cost.hours for one in cells) == pytest.approx(tokens * weights / reached / 3600)


def test_the_view_counts_and_sums(paper, capsys):
    plan_view.show(paper)
    said = capsys.readouterr().out
    assert re.search(r"train +regression +42 +0 +0 +42 +420 +757 +193", said)
    assert re.search(r"measure +benchmarks +42 +0 +0 +42 +unknown", said)
    assert "210 of 210 cells are left" in said
    assert "42 cells are left out, for nothing tells their hours before one is done: benchmarks" in said
    assert "most memory: falcon3-10b@instruct, 212 GiB; h200 has 141" in said
    assert "warning: 23 of 42 do not fit" in said
    assert max(map(len, said.splitlines()[:6])) <= 100


def test_what_is_done_or_failed_is_counted_and_not_paid_again(paper, capsys):
    first, second, *others = [one for one in paper.cells if one.cell.command == "train"]
    cells = [
        replace(first, cell=replace(first.cell, state=DONE)),
        replace(second, cell=replace(second.cell, state=FAILED, reason="it is gated"), cost=Cost(6.0, 1.0, "told")),
        replace(others[0], cost=Cost(2.0, 1.0, "told")),
    ]
    plan_view.show(replace(paper, cells=cells, jobs=2))
    said = capsys.readouterr().out
    assert re.search(r"train +bradley_terry +2 +1 +0 +1 +10 +2 +1\s", said)
    assert re.search(r"train +regression +1 +0 +1 +1 +10 +6 +1\s", said)
    assert "2 of 3 cells are left" in said
    assert "about 8 hours of h200; 6 hours with 2 at once" in said, "no shorter than the longest"
    with pytest.raises(StudyError, match=r"2 of 3 cells are left, the same command .* failed: .*: it is gated"):
        plan_view.check_finished(replace(paper, cells=cells))


def small(world: Path, *changes: str) -> str:
    """The sweep of `make paper` on a tiny base: the same experiment with everything of it replaced."""
    files = [f"dataset.{part}={world / part}.jsonl" for part in ("train", "validation")]
    files += [f"base.path={world / 'base'}", f"evaluation.path={world / 'test.jsonl'}", f"output={world / 'outputs'}"]
    line = ["+experiment=paper", "base=local", "base.params_b=0.0001", "dataset=jsonl", "evaluation=jsonl", *QUICK]
    return " ".join(["train", "-m", *line, *files, "objective=bradley_terry", "study=small", *changes])


def test_the_same_sweep_on_a_tiny_base_is_done_once_and_gone_on_with(world, capsys):
    """One of two seeds first, as after a kill; then the other is left, and its time is known."""
    both = [f"sweeps=['{small(world, 'seed=1,2')}']", "device=cpu"]
    assert call(train, *small(world, "seed=1").split()[1:]) == 0
    assert call(plan, *both, "finished=true") == 2
    said = capsys.readouterr()
    assert re.search(r"train +bradley_terry +2 +1 +0 +1 +1 ", said.out)
    assert "finished cells of the same base (1 cells)" in said.out
    assert "1 of 2 cells are left, the same command goes on" in said.err
    (record,) = (world / "outputs" / "small" / "runs").glob("*/run.json")
    before = record.stat().st_mtime_ns
    assert call(train, *small(world, "seed=1,2").split()[1:]) == 0
    assert call(plan, *both, "finished=true") == 0
    assert "0 of 2 cells are left" in capsys.readouterr().out
    assert record.stat().st_mtime_ns == before, "what was finished is not made again"


def test_of_a_part_of_a_training_the_rest_is_counted(world, monkeypatch):
    monkeypatch.setattr(costs, "training", lambda *_: Cost(1.0, 1.0, "told"))
    line = small(world, "study=part")
    (before,) = planned.plan([line], named("cpu")).cells
    assert call(train, *line.split()[1:], "until=0.5") == 0
    (after,) = planned.plan([line], named("cpu")).cells
    record = json.loads(next((world / "outputs" / "part" / "runs").glob("*/run.json")).read_text())
    spent = record["cost"]["seconds"] / 3600
    assert after.cell.state == "partial"
    assert after.cost.hours == pytest.approx(before.cost.hours - spent)


def test_features_of_files_are_planned_by_what_they_hold(world):
    pairs = f"feature=probe feature.pairs={world / 'test.jsonl'}"
    found = planned.plan([f"measure base=local base.path={world / 'base'} base.params_b=1 {pairs}"], named("cpu"))
    (one,) = found.cells
    rows = (world / "test.jsonl").read_text().splitlines()
    assert one.cost.hours > 0
    load = loads.measured(_settings(f"measure {pairs}"))
    assert load.probe == pytest.approx(sum(map(_bytes, rows)) / 4)
    rated = _settings(
        f"measure feature=probe feature.pairs=null feature.ratings={world / 'ratings.jsonl'} feature.limit=20"
    )
    rows = (world / "ratings.jsonl").read_text().splitlines()
    assert loads.measured(rated).probe == pytest.approx(sum(map(_bytes, rows)) / 4 * 20 / len(rows))
    (world / "text").mkdir(exist_ok=True)
    (world / "text" / "books.jsonl").write_text('{"text": "' + "a" * 400 + '"}\n')
    assert loads.measured(_settings(f"measure feature=presence feature.path={world / 'text'}")).probe == 100
    assert loads.measured(_settings("measure feature=benchmarks")) is None


def _bytes(line: str) -> int:
    """Of a pair, its prompt twice, or of a rating."""
    row = json.loads(line)
    parts = {
        part: sum(len(turn["content"].encode()) for turn in row[part]) for part in row if isinstance(row[part], list)
    }
    return sum(parts.values()) + (parts["prompt"] if "chosen" in parts else 0)


def _settings(sweep: str):
    from hydra import compose, initialize_config_dir

    from rm_selection.config import CONF, typed
    from rm_selection.measure_settings import MeasureConfig

    with initialize_config_dir(str(CONF), version_base="1.3"):
        return typed(MeasureConfig, compose("measure", overrides=sweep.split()[1:]))


def test_the_launcher_says_how_many_run_at_once():
    sweep = "train -m base=llama3,qwen2 hydra/launcher=joblib hydra.launcher.n_jobs=2"
    assert planned.plan([sweep], named("h200")).jobs == 2
    assert planned.plan([sweep], named("h200"), jobs=8).jobs == 8
    assert planned.plan(["train -m base=llama3,qwen2 hydra/launcher=slurm"], named("h200")).jobs == 2, "of two cells"


def test_a_sharded_training_takes_its_devices_together():
    sweep = "train -m base=llama3 hardware=fsdp training.gradient_checkpointing=true"
    (alone,), (eight,) = (planned.plan([sweep], named("a6000"), count).cells for count in (1, 8))
    assert eight.cost.hours == alone.cost.hours, "device-hours"
    assert eight.cost.memory_gib == pytest.approx(alone.cost.memory_gib - 18 * 8.03e9 * 7 / 8 / 2**30)
    assert costs.fits(eight.cost, named("a6000"))
    assert not costs.fits(alone.cost, named("a6000"))


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ("regress study=x", "regress cannot be planned; a sweep begins with train or measure"),
        ("", "an empty sweep cannot be planned"),
        ("train -m base=lama3", "train of the plan: base=lama3 is not allowed; did you mean llama3"),
        (
            "train -m objective.rate=[1]",
            "train of the plan: unknown setting objective.rate; did you mean objective.rates",
        ),
        ("train -m training.micro_batch=7", "training.micro_batch=7 is not allowed"),
    ],
)
def test_a_sweep_that_would_be_refused_is_refused_here(sweep, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        planned.plan([sweep], named("h200"))


def test_settings_of_the_plan_are_checked(capsys):
    assert call(plan, "sweeps=[]") == 2
    assert "sweeps is empty" in capsys.readouterr().err
    assert call(plan, "device=abacus") == 2
    assert "device=abacus is not known; give h200" in capsys.readouterr().err
    assert call(plan, "jobs=0") == 2


def test_a_plan_writes_nothing_and_loads_no_torch(tmp_path):
    words = "import sys; from rm_selection import plan; plan.main(); print({'torch', 'datasets'} & set(sys.modules))"
    line = [sys.executable, "-c", words, "device=h200", 'sweeps=["train -m base=llama3,qwen2"]']
    found = subprocess.run(line, check=True, cwd=tmp_path, capture_output=True, text=True).stdout
    assert found.rstrip().endswith("set()")
    assert list(tmp_path.iterdir()) == []
    assert runs.read_record(tmp_path) is None
