"""Choosing a base under a budget: trainings are played, their records are where train would have left them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from tiny_models import checkpoint

from rm_selection import budget, buying, candidates, cells, costs, recommend_budget, runs, second
from rm_selection.checkpoints import load_base
from rm_selection.config import quoted
from rm_selection.costs import Cost
from rm_selection.vocabularies import of_checkpoint

TRUTH = {"llama3": 74.0, "qwen2": 81.0, "mistral": 70.0, "gemma2-2b": 62.0, "yi-6b": 66.0, "phi3-mini": 79.0}
PAIR = {"prompt": "Which one is it?", "chosen": "This one.", "rejected": "That one, or maybe another."}


class Played:
    """Trainings and probes that take no time: every score is the truth, earlier ones below it, and hours are told."""

    def __init__(self, monkeypatch, truth=TRUTH, fails=()) -> None:
        self.truth, self.fails, self.ran, self.settings = truth, fails, [], None
        played = self

        def run(commands: buying.Commands, lines) -> None:
            played.settings = commands.settings
            for words in lines:
                played.ran.append(words)
                played.one(dict(word.partition("=")[::2] for word in words[4:] if "=" in word), words[2])

        monkeypatch.setattr(buying.Commands, "run", run)

    def one(self, given: dict[str, str], module: str) -> None:
        for base in given["base"].split(","):
            if module.endswith("measure"):
                self.probe(base, given["stage"])
            else:
                self.train(base, given["stage"], int(given["seed"]), float(given["until"]))

    def probe(self, base: str, stage: str) -> None:
        run_id = f"{base}@{stage}__probe-00000000"
        record = {"status": "finished", "run_id": run_id, "settings": {"feature": {"name": "probe"}}}
        record |= {"values": {"accuracy": 20 + 0.6 * self.truth[base]}, "cost": {"seconds": 36.0}, "protocols": {}}
        runs.write_record(self.settings.folder / "features" / run_id, record)

    def train(self, base: str, stage: str, seed: int, until: float) -> None:
        settings = self.settings.cell(load_base(base), stage, seed)
        (folder,) = cells.folders(settings)
        record = {"run_id": folder.name, "settings": cells.compared_settings(settings), "inputs": {}}
        record |= {"checkpoint": {"name": f"{base}@{stage}", "base": base}, "cost": {"seconds": 3600 * until}}
        if base in self.fails:
            runs.write_record(folder, record | {"status": "failed", "reason": "it needs more memory"})
            return
        score = 50 + (self.truth[base] - 50) * until**0.5
        known = (runs.read_record(folder) or {}).get("partials", [])
        if until < 1:
            part = {"share": until, "scores": {"jsonl": score}, "seconds": 3600 * until}
            record |= {"status": "partial", "partials": [*known, part]}
        else:
            record |= {"status": "finished", "partials": known}
        runs.write_record(folder, record | {"scores": {"jsonl": {"score": score}}})


@pytest.fixture(autouse=True)
def prices(monkeypatch):
    """A whole training takes an hour on the device, its scoring three minutes, a probe half a minute."""
    told = {"scoring": lambda load: 0.05, "probe": lambda load: 0.01, "training": lambda load: load.until}
    for name, hours in told.items():
        cost = lambda _shape, load, _device, hours=hours: Cost(hours(load), 10.0, "as told")  # noqa: E731
        monkeypatch.setattr(costs, name, cost)


@pytest.fixture
def files(tmp_path) -> Path:
    for name in ("train", "test"):
        rows = [PAIR | {"prompt": f"Which one is it, of {name}, {i}?"} for i in range(40)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def words(files: Path, *changes: str) -> list[str]:
    return [
        f"output={files / 'outputs'}",
        "study=choice",
        "dataset=jsonl",
        f"dataset.train={files / 'train.jsonl'}",
        "evaluation=jsonl",
        f"evaluation.path={files / 'test.jsonl'}",
        f"candidates={','.join(TRUTH)}",
        "device=h200",
        "training=lora",
        "tracking=off",
        "worth=0",
        *changes,
    ]


def call(*line: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["recommend", *line])
        try:
            recommend_budget.main()
        except SystemExit as left:
            return int(left.code or 0)
    return 0


def table(files: Path) -> pd.DataFrame:
    return pd.read_csv(files / "outputs" / "choice" / "tables" / "recommendation.csv")


def test_the_best_base_is_found_for_less_than_training_all(files, monkeypatch, capsys):
    played = Played(monkeypatch)
    assert call(*words(files, "budget_gpu_hours=4")) == 0
    ranked = table(files)
    assert ranked["model"].iloc[0] == "qwen2@instruct"
    probed = [line[4].removeprefix("base=").split(",") for line in played.ran if line[2] == "rm_selection.measure"]
    assert [len(bases) for bases in probed] == [1, 5]  # one tells what a probe takes, then all others
    assert played.ran[0][2] == "rm_selection.measure"  # before any training
    said = capsys.readouterr().out
    assert ranked["measured"].iloc[0] == TRUTH["qwen2"]
    assert ranked["measured"].notna().tolist() == ranked["basis"].str.startswith("measured").tolist()
    assert "Train the reward model from qwen2@instruct" in said
    assert "expected regret" in said
    assert "of 4 device-hours" in said
    (where,) = (files / "outputs" / "choice" / "runs").glob("qwen2@instruct*s1-*")
    assert f"It is trained already: {where}" in said.replace("\n", "")


def test_the_record_tells_the_settings_as_they_are_typed(files, monkeypatch):
    Played(monkeypatch)
    assert call(*words(files, "budget_gpu_hours=2", "licence=apache-2.0", "candidates=qwen2,phi3-mini,yi-6b")) == 0
    told = json.loads((files / "outputs" / "choice" / "recommendation.json").read_text())["settings"]
    decide = {"study": "choice", "budget_gpu_hours": 2.0, "seed": 1, "licence": ["apache-2.0"]}
    groups = {"dataset": "jsonl", "objective": "bradley_terry", "evaluation": "jsonl", "training": "lora"}
    given = {"dataset.train": str(files / "train.jsonl"), "evaluation.path": str(files / "test.jsonl")}
    others = {"candidates": ["qwen2", "phi3-mini", "yi-6b"], "device": "h200", "worth": 0.0}
    assert told == decide | groups | given | others


def test_what_was_spent_is_what_the_records_say(files, monkeypatch, capsys):
    Played(monkeypatch)
    call(*words(files, "budget_gpu_hours=3"))
    records = [runs.read_record(path.parent) for path in (files / "outputs").rglob("run.json")]
    hours = sum(record["cost"]["seconds"] for record in records) / 3600
    assert f"Spent {hours:.3g} of 3 device-hours" in " ".join(capsys.readouterr().out.split())


def test_nothing_that_is_there_is_paid_for_twice(files, monkeypatch):
    """A second plan with the same budget buys nothing; one with more goes on."""
    first = Played(monkeypatch)
    assert call(*words(files, "budget_gpu_hours=3")) == 0
    again = Played(monkeypatch)
    assert call(*words(files, "budget_gpu_hours=3")) == 0
    assert len(again.ran) <= 1  # prices are known better now
    more = Played(monkeypatch)
    assert call(*words(files, "budget_gpu_hours=6")) == 0
    bought = [tuple(line[4:10]) for played in (first, again, more) for line in played.ran]
    assert len(bought) == len(set(bought))


def test_a_dry_run_prints_the_plan_and_its_cost_and_runs_nothing(files, monkeypatch, capsys):
    played = Played(monkeypatch)
    assert call(*words(files, "budget_gpu_hours=3", "dry_run=true")) == 0
    said = capsys.readouterr().out
    assert not played.ran
    assert not (files / "outputs").exists()
    assert "Would spend" in said
    assert "It would begin with: python -m rm_selection.measure -m base=" in said


def test_commands_hand_on_the_settings_they_take(files, monkeypatch):
    played = Played(monkeypatch)
    call(*words(files, "budget_gpu_hours=4", "hardware.threads=1", "objective.rates=[1e-6]"))
    measure, train = played.ran[0], next(line for line in played.ran if line[2] == "rm_selection.train")
    assert f"feature.pairs={files / 'train.jsonl'}" in measure
    assert "hardware.threads=1" in measure
    assert not [word for word in measure if word.startswith(("dataset", "training", "budget", "objective"))]
    own = {f"dataset.train={files / 'train.jsonl'}", "training=lora", "hardware.threads=1", "objective.rates=[1e-6]"}
    assert own < set(train)
    assert not [word for word in train if word.startswith(("budget", "candidates", "device", "worth"))]
    assert shlex.split(shlex.join(train)) == train


def test_what_failed_is_left_out_and_named(files, monkeypatch, capsys):
    Played(monkeypatch, fails=("qwen2",))
    assert call(*words(files, "budget_gpu_hours=6")) == 0
    assert "qwen2@instruct" not in set(table(files)["model"])
    assert table(files)["model"].iloc[0] == "phi3-mini@instruct"
    assert "qwen2@instruct is left out: it needs more memory" in " ".join(capsys.readouterr().out.split())


def test_what_cannot_be_probed_is_judged_without(files, monkeypatch, capsys):
    played = Played(monkeypatch)
    whole = played.probe

    def probe(base: str, stage: str) -> None:
        whole(base, stage)
        for folder in (played.settings.folder / "features").glob("phi3-mini@*"):
            runs.write_record(folder, runs.read_record(folder) | {"status": "failed", "reason": "it has no template"})

    monkeypatch.setattr(played, "probe", probe)
    assert call(*words(files, "budget_gpu_hours=6")) == 0
    assert set(table(files)["model"]) == {f"{base}@instruct" for base in TRUTH}
    said = " ".join(capsys.readouterr().out.split())
    assert "phi3-mini@instruct is judged without its probe: it has no template" in said
    assert sum("measure" in line[2] and "phi3-mini" in " ".join(line) for line in played.ran) == 1


def test_what_ctrl_c_stopped_is_gone_on_with(files, monkeypatch, capsys):
    played = Played(monkeypatch)
    settings = []
    whole = played.train

    def train(base: str, stage: str, seed: int, until: float) -> None:
        settings.append((base, seed))
        whole(base, stage, seed, until)

    monkeypatch.setattr(played, "train", train)
    stopped = {"status": "failed", "kind": "interrupted", "reason": "interrupted"}
    assert call(*words(files, "budget_gpu_hours=2")) == 0
    first = settings[0][0]
    for kind in ("runs", "features"):
        for folder in (files / "outputs" / "choice" / kind).glob(f"{first}@*"):
            runs.write_record(folder, runs.read_record(folder) | stopped)
    capsys.readouterr()
    assert call(*words(files, "budget_gpu_hours=8")) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"{first}@instruct" in set(table(files)["model"])
    assert "left out" not in said
    assert "judged without" not in said


def test_a_further_seed_that_fails_costs_no_candidate(files, monkeypatch, capsys):
    played = Played(monkeypatch)
    whole = played.train

    def train(base: str, stage: str, seed: int, until: float) -> None:
        played.fails = TRUTH if seed > 1 else ()
        whole(base, stage, seed, until)

    monkeypatch.setattr(played, "train", train)
    assert call(*words(files, "budget_gpu_hours=40")) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert len(table(files)) == len(TRUTH)
    assert "@instruct is judged without a further seed: it needs more memory" in said
    tried = [line for line in played.ran if "seed=2" in line]
    assert tried
    assert len(tried) == len({line[4] for line in tried})


def test_a_command_that_is_refused_ends_the_plan_and_costs_no_candidate(files, monkeypatch, capsys):
    ran = []

    def run(self, lines) -> bool:
        ran.extend(lines)
        return True

    monkeypatch.setattr(buying.Commands, "run", run)
    assert call(*words(files, "budget_gpu_hours=3")) == 2
    assert len(ran) == 1
    said = capsys.readouterr().err
    assert "the last command failed, and says why; mend that, and the same line goes on" in said


def test_what_is_wrong_with_the_data_ends_the_plan_and_once_mended_is_tried_again(files, monkeypatch, capsys):
    played = Played(monkeypatch)
    whole = played.train
    wrong = {"status": "failed", "kind": "bad data", "reason": "test.jsonl:3 is no JSON"}

    def train(base: str, stage: str, seed: int, until: float) -> None:
        whole(base, stage, seed, until)
        for folder in (played.settings.folder / "runs").glob(f"{base}@*"):
            runs.write_record(folder, runs.read_record(folder) | wrong)

    with monkeypatch.context() as patched:
        patched.setattr(played, "train", train)
        run = buying.Commands.run
        patched.setattr(buying.Commands, "run", lambda self, lines: run(self, lines) or "train" in lines[0][2])
        assert call(*words(files, "budget_gpu_hours=4")) == 2
    said = capsys.readouterr().err
    assert re.search(r"the last command failed, \S+@instruct: test.jsonl:3 is no JSON; mend that, and the same", said)
    assert call(*words(files, "budget_gpu_hours=8")) == 0
    assert len(table(files)) == len(TRUTH)
    assert "left out" not in capsys.readouterr().out


def test_an_error_of_a_command_is_told(files, monkeypatch, capsys):
    """A setting that a command does not take is refused by itself, here of no feature."""
    commands = buying.Commands(None, ())
    assert commands.run([["python", "-m", "rm_selection.measure", "base=llama9"]])
    assert not commands.run([["python", "-m", "rm_selection.measure", "--help"]])


def test_a_command_that_leaves_nothing_is_not_tried_for_ever(files, monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(buying.Commands, "run", lambda self, lines: ran.extend(lines))
    assert call(*words(files, "budget_gpu_hours=3")) == 2
    assert len(ran) <= 2 * len(TRUTH), "a probe and a training of each"
    said = capsys.readouterr().err
    assert re.search(r"all 6 failed, \S+: its command left no record; what it printed says why", said)


def test_who_is_left_after_failures_is_trained_before_it_is_named(files, monkeypatch, capsys):
    """Its own training may fail as well."""
    given = [word for word in words(files, "budget_gpu_hours=9", "probe=null") if not word.startswith("candidates")]
    played = Played(monkeypatch, fails=("qwen2",))
    assert call(*given, "candidates=qwen2,yi-6b") == 0
    assert [line[4] for line in played.ran] == ["base=qwen2", "base=yi-6b"]
    assert table(files)["basis"].tolist() == ["measured"]
    assert "yi-6b@instruct: expected score" in (said := " ".join(capsys.readouterr().out.split()))
    assert "the only one of 2 that did not fail" in said
    Played(monkeypatch, fails=TRUTH)
    assert call(*words(files, "budget_gpu_hours=9", "probe=null", "study=none")) == 2
    assert "no candidate is left: all 6 failed" in capsys.readouterr().err


def test_what_failed_once_is_tried_again_by_the_same_line(files, monkeypatch, capsys):
    """A disk that was full, the Hub that did not answer: it may be mended by now."""
    Played(monkeypatch, fails=("qwen2",))
    assert call(*words(files, "budget_gpu_hours=6")) == 0
    Played(monkeypatch)
    assert call(*words(files, "budget_gpu_hours=12")) == 0
    assert table(files)["model"].iloc[0] == "qwen2@instruct"
    assert "left out" not in capsys.readouterr().out.split("Train the reward model from qwen2")[1]


def test_what_another_process_works_on_is_not_given_up(files, monkeypatch, capsys):
    monkeypatch.setattr(buying.Commands, "run", lambda self, lines: False)
    monkeypatch.setattr(budget, "at_work", lambda settings, one, figure: True)
    assert call(*words(files, "budget_gpu_hours=6", "probe=null")) == 2
    assert "@instruct; once it is done, the same line goes on" in capsys.readouterr().err


def test_a_command_ends_with_the_plan_that_is_told_to_end(tmp_path):
    """SIGTERM to the plan: its command does not work on alone."""
    work = f"import os, time; open('{tmp_path}/pid', 'w').write(str(os.getpid())); time.sleep(60)"
    plan = f"import sys; from rm_selection import buying; buying._ended([sys.executable, '-c', {work!r}])"
    process = subprocess.Popen([sys.executable, "-c", plan], stderr=subprocess.DEVNULL)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.01)
    process.terminate()
    assert process.wait(30) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_budget_too_small_names_the_smallest_useful_one(files, monkeypatch, capsys):
    Played(monkeypatch)
    assert call(*words(files, "budget_gpu_hours=0.001")) == 2
    said = capsys.readouterr().err
    assert "budget_gpu_hours=0.001 pays for nothing; the smallest useful one is 0.06, for probe of" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("budget_gpu_hours=-1", "budget_gpu_hours=-1.0 is not allowed; give device-hours, above 0"),
        ("max_params_b=0.1", "no candidate is left: max_params_b=0.1 removes the last 6; loosen it"),
        ("candidates=llama9", "base=llama9 is unknown; did you mean"),
        ("candidates=xyz*", "candidates=xyz* matches no base of conf/base"),
        ("candidates=llama3@dpo", "llama3@dpo is not published; give llama3@pretrained or llama3@instruct"),
        ("policy=llama3", "give what the reward model is for beside policy=llama3: ppo"),
        ("use=ppo", "policy=null is not allowed; give the base of the policy that PPO trains"),
        ("use=sft", "use=sft is not allowed; give ppo or best_of_n"),
        ("until=0.5", "until=0.5 is not allowed"),
        ("device=abacus", "device=abacus is not known; give h200 or"),
        ("counts=nosuch", "counts=nosuch is not allowed; give a benchmark of evaluation=: jsonl"),
        (
            "evaluation=[jsonl,rewardbench]",
            "counts=null is not allowed; give the one that decides: jsonl or rewardbench",
        ),
        ("probe=nosuch", "probe=nosuch is not allowed; give micro_probe or probe, or null for none"),
        ("probe=presence", "probe=presence is not allowed; give micro_probe or probe, or null"),
        ("base=mistral", "base=mistral is not allowed; the plan chooses it: name candidates=mistral"),
        ("category=safety", "category is no setting here: a ranking without a budget takes it"),
        ("worth=-1", "worth=-1.0 is not allowed; give points an hour"),
    ],
)
def test_what_cannot_be_planned_is_told_in_one_sentence(files, monkeypatch, capsys, change, message):
    Played(monkeypatch)
    given = [word for word in words(files, "budget_gpu_hours=3") if word.partition("=")[0] != change.partition("=")[0]]
    assert call(*given, change) == 2
    assert message in capsys.readouterr().err


def test_with_ppo_only_the_policys_lineage_is_left(files, monkeypatch):
    Played(monkeypatch)
    assert call(*words(files, "budget_gpu_hours=3", "use=ppo", "policy=qwen2.5-7b")) == 0
    assert table(files)["model"].tolist() == ["qwen2@instruct"]


def test_a_lineage_without_candidates_says_what_there_is(files, monkeypatch, capsys):
    Played(monkeypatch)
    given = [word for word in words(files, "budget_gpu_hours=3") if not word.startswith("candidates")]
    assert call(*given, "candidates=llama3,mistral", "use=ppo", "policy=qwen2") == 2
    assert "asks for its lineage, qwen, and there are llama, mistral" in capsys.readouterr().err


def test_runs_of_another_protocol_are_refused_with_the_difference(files, monkeypatch, capsys):
    Played(monkeypatch)
    assert call(*words(files, "budget_gpu_hours=4")) == 0
    assert call(*words(files, "budget_gpu_hours=4", "objective.epochs=2")) == 2
    said = capsys.readouterr().err
    assert "was trained with objective.epochs=1, and the plan would train with 2" in said
    assert "choose another study=" in said


def test_hours_that_are_not_worth_it_are_not_spent(files, monkeypatch, capsys):
    played = Played(monkeypatch)
    assert call(*words(files, "budget_gpu_hours=100"), "worth=5") == 0
    assert len(played.ran) < 6
    assert "less than worth=5" in capsys.readouterr().out


def test_intervals_shrink_with_what_is_known(files, monkeypatch):
    Played(monkeypatch)
    call(*words(files, "budget_gpu_hours=5"))
    ranked = table(files).set_index("basis")
    width = ranked["high"] - ranked["low"]
    measured = width[[name.startswith("measured") for name in width.index]]
    assert measured.max() < width.max()
    assert (ranked["low"] < ranked["predicted"]).all()
    assert ranked["probability_top_1"].sum() == pytest.approx(1)


def test_a_second_dataset_says_whether_the_ranking_moves(files, monkeypatch, capsys):
    other = files / "other.jsonl"
    other.write_text((files / "train.jsonl").read_text())
    played = Played(monkeypatch)
    assert call(*words(files, "budget_gpu_hours=8", f"second_dataset={other}", "dataset.max_length=512")) == 0
    assert "The choice does not move from jsonl to other: qwen2@instruct is first on both" in capsys.readouterr().out
    lines = [line for line in played.ran if "study=choice-other" in line and line[2] == "rm_selection.train"]
    assert {f"dataset.train={other}", "dataset.name=other", "dataset.max_length=512"} < set(lines[0])


def test_a_second_dataset_that_is_none_is_refused(files, monkeypatch, capsys):
    Played(monkeypatch)
    assert call(*words(files, "budget_gpu_hours=8", "second_dataset=nothing")) == 2
    assert "second_dataset=nothing is not allowed; give a name of conf/dataset, or a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("my pairs.jsonl", "my-pairs"),
        ("a,b.jsonl.gz", "a-b"),
        ("pairs(2).jsonl", "pairs-2"),
        ("v1.2.jsonl", "v1.2"),
        ("it's {new}=[1].jsonl", "it-s-new-1"),
        ("\u00fc.jsonl", "second"),
    ],
)
def test_a_second_dataset_may_have_any_name(files, monkeypatch, file, name):
    other = files / file
    other.write_text((files / "train.jsonl").read_text())
    played = Played(monkeypatch)
    given = quoted("second_dataset", str(other))
    assert call(*words(files, "budget_gpu_hours=4", "candidates=qwen2,llama3,yi-6b", given)) == 0
    assert (files / "outputs" / f"choice-{name}" / "recommendation.json").exists()
    for module, key in (("rm_selection.train", "dataset.train"), ("rm_selection.measure", "feature.pairs")):
        line = next(one for one in played.ran if f"study=choice-{name}" in one and one[2] == module)
        (read,) = [one for one in OverridesParser.create().parse_overrides(line[4:]) if one.key_or_group == key]
        assert not read.is_sweep_override()
        assert str(read.value()) == str(other)


def test_the_first_dataset_is_no_second_one(files, monkeypatch, capsys):
    Played(monkeypatch)
    (files / "link.jsonl").symlink_to(files / "train.jsonl")
    (files / "jsonl.jsonl").write_text((files / "test.jsonl").read_text())
    line = words(files, "budget_gpu_hours=8")
    assert call(*line, f"second_dataset={files / 'link.jsonl'}") == 2
    assert f"give another dataset than the first: {files / 'train.jsonl'} is the same file" in capsys.readouterr().err
    assert call(*line, f"second_dataset={files / 'jsonl.jsonl'}") == 2
    assert "one of another name, or name that dataset.name=...: the first dataset is called jsonl too" in (
        capsys.readouterr().err
    )
    named = [word for word in line if not word.startswith("dataset.")]
    assert call(*named, "dataset=ultrafeedback", "second_dataset=ultrafeedback") == 2
    assert "second_dataset=ultrafeedback is not allowed; give one of another name: the first" in capsys.readouterr().err
    assert not (files / "outputs").exists()


def test_rankings_that_tell_nothing_apart_are_not_compared():
    ranked = pd.DataFrame({"model": ["a", "b", "c"], "predicted": [3.0, 2.0, 1.0], "tied": True})
    flat = ranked.assign(predicted=[2.0, 2.0 + 1e-12, 2.0])
    said = second.moved(ranked, flat, ("one", "two"))
    assert said == "Rankings cannot be compared: on two nothing tells the 3 candidates apart."
    assert "on one and on two nothing tells" in second.moved(flat, flat, ("one", "two"))
    assert "Spearman 1.00" in second.moved(ranked, ranked, ("one", "two"))


def test_a_second_dataset_that_comes_to_the_same_pairs_is_refused(files, monkeypatch, capsys):
    """Bradley-Terry learns from the pairs of both names."""
    Played(monkeypatch)
    given = [word for word in words(files, "budget_gpu_hours=8") if not word.startswith("dataset")]
    assert call(*given, "dataset=helpsteer2_preference", "second_dataset=helpsteer2") == 2
    assert "the first dataset is called helpsteer2_preference too" in capsys.readouterr().err


def test_only_bases_that_read_the_same_tokens_as_the_policy_are_left(files, monkeypatch, capsys):
    Played(monkeypatch)
    tokens = {"qwen2": "one", "phi3-mini": "one", "qwen2.5-7b": "one"}
    monkeypatch.setattr(candidates, "of_checkpoint", lambda checkpoint: tokens.get(checkpoint.base, "another"))
    line = words(files, "budget_gpu_hours=3", "use=best_of_n", "same_tokenizer=true")
    assert call(*line, "policy=qwen2.5-7b") == 0
    assert set(table(files)["model"]) == {"qwen2@instruct", "phi3-mini@instruct"}
    assert call(*line, "policy=llama3.1-8b", "candidates=qwen2") == 2
    assert "same_tokenizer=true asks for the tokens of policy=llama3.1-8b" in capsys.readouterr().err


def test_a_vocabulary_is_told_by_its_tokens_alone(tmp_path):
    one, two = (checkpoint(tmp_path / name) for name in ("first", "second"))
    assert of_checkpoint(one) == of_checkpoint(two)
    tokens = tmp_path / "second" / "tokenizer.json"
    known = json.loads(tokens.read_text())
    vocab = known["model"]["vocab"]
    name = next(iter(vocab))
    vocab[f"{name}x"] = vocab.pop(name)
    tokens.write_text(json.dumps(known))
    assert of_checkpoint(one) != of_checkpoint(two)
