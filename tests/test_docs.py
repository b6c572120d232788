"""Every command of README.md and docs/ is read by the parser that reads it there, and those that can be small run."""

import importlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from documented import PAGES, ROOT, Command, blocks, commands, split
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from test_config import SCHEMAS
from test_train import QUICK, call
from tiny_models import checkpoint, pairs, ratings

from rm_selection import train
from rm_selection.budget_settings import BudgetConfig
from rm_selection.config import CONF, typed
from rm_selection.launchers.names import keep_ours

# What a test gives in place of a word: no Hub, no GPU, and a second or two each.
SUBSTITUTES = (
    (r"base=(?!local$).*", ["base=local", "base.path=my-base", "base.params_b=0.0001"], "a tiny base, not the Hub's"),
    (r"stage=pretrained,.*", [], "it has one stage"),
    (r"seed=1,2,3", ["seed=1"], "one is enough"),
    (r"objective=bradley_terry,regression", ["objective=bradley_terry"], "one is enough"),
    (r"candidates=(?!mine).*", ["candidates=llama3,qwen2"], "names alone; nothing of them is loaded"),
    (r"dataset=ultrafeedback", ["dataset=jsonl", "dataset.train=pairs.jsonl"], "a file, not the Hub's"),
    (r"training=lora", ["training=lora", "training.lora_rank=2"], "a tiny base has little to adapt"),
    (r"hardware.precision=bf16_weights", [], "slow on a CPU"),
    (r"feature=benchmarks,presence,probe", ["feature=probe", "feature.pairs=pairs.jsonl"], "the others are the Hub's"),
    (r"model=OWNER/NAME", ["model=my-reward-model"], "a folder, not the Hub's"),
    (r"evaluation=\[.*", ["evaluation=jsonl", "evaluation.path=test.jsonl"], "a file, not the Hub's"),
    (r"study=choose-jsonl", ["study=mine"], "a study that is there"),
    (r"shape=15m", ["shape=tiny"], "fifteen million weights take minutes"),
)
# What each command is given besides. Where it names no data, files stand in for the Hub's.
BESIDES = {
    "train": [*QUICK, "training.max_steps=2", "training.checkpoint_steps=2"],
    "measure": ["hardware=cpu", "base.params_b=0.0001", "feature.limit=20"],
    "evaluate": ["hardware=cpu"],
    "throughput": [
        "hardware=cpu",
        "training.global_batch=4",
        "training.micro_batch=2",
        "repeats=1",
        "tasks=[score]",
        "table=t.csv",
    ],
    "regress": ["resamples=100", "jobs=1"],
    "plan": [],
}
FILES = ["dataset=jsonl", "dataset.train=pairs.jsonl", "evaluation=jsonl", "evaluation.path=test.jsonl"]
# What is only read by the parser, and where it is run.
NOT_RUN = (
    (r"hydra/launcher=(ray|slurm)|^pip ", "a cluster: tests/on_ray, tests/on_slurm"),
    (r"hydra/launcher=joblib", "worker processes: tests/test_launchers.py"),
    (r"^torchrun", "several processes: tests/test_sharding.py"),
    (r"\.posttrain ", "minutes: tests/test_posttrain.py"),
    (r"stage=.*made-", "made stages: tests/test_own_stages.py"),
    (r"feature=benchmarks", "lm-eval and its results: tests/test_benchmarks.py, tests/test_importers.py"),
    (r"budget_gpu_hours=40 (?!dry_run)", "whole trainings: tests/test_budget.py"),
    (r"\.(regress|report)( resamples=2000)?$", "the published study, a minute: tests/test_regress.py"),
    (r"^make ", "what make runs is read as well: test_what_make_runs_is_read_too"),
    (r"rm_selection\.recommend max_params_b=9 top=5$", "the README's own output: test_the_first_output_is_printed_so"),
)
DOCUMENTED = commands()
OURS = list({one.words: one for one in DOCUMENTED if re.search(r"-m rm_selection\.", one.text)}.values())


def test_there_are_commands_on_every_page_but_the_one_of_limits():
    there = {one.page for one in DOCUMENTED}
    assert there == {page.name for page in PAGES} - {"limits.md"}


def module_of(words: tuple[str, ...] | list[str]) -> str:
    return next(word for word in words if word.startswith("rm_selection."))


def given(words: tuple[str, ...] | list[str]) -> list[str]:
    return list(words[words.index(module_of(words)) + 1 :])


def read(words: tuple[str, ...] | list[str]) -> None:
    """Compose and check the settings of the first and the last job, as the command does before it works."""
    name, settings = module_of(words).removeprefix("rm_selection."), given(words)
    if "--help" in settings:
        return
    schema = SCHEMAS[name]
    if any(word.startswith("budget_gpu_hours=") for word in settings):
        name, schema = "recommend_budget", BudgetConfig
    keep_ours(CONF)
    listed = importlib.import_module("rm_selection.config")._listed([w for w in settings if w != "-m"], schema)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        given_words = parser.parse_overrides(listed)
        assert "-m" in settings or not any(one.is_sweep_override() for one in given_words), "a sweep is asked for by -m"
        jobs = BasicSweeper.split_arguments(given_words, None)[0]
        for job in {tuple(one): one for one in (jobs[0], jobs[-1])}.values():
            typed(schema, compose(name, overrides=job))


@pytest.mark.parametrize("command", OURS, ids=str)
def test_the_parser_takes_every_command(command: Command, monkeypatch):
    monkeypatch.setattr(sys, "argv", [])
    read(command.words)


def test_a_misspelt_setting_would_be_found():
    for line in (
        "train bse=llama3",
        "train objective.rate=[1]",
        "recommend max_param_b=9",
        "train hydra/launcher=slrum",
    ):
        name, *words = line.split()
        with pytest.raises(Exception, match=r"(?i)could not"):
            read(("python", "-m", f"rm_selection.{name}", *words))


MADE = [one for one in DOCUMENTED if one.words[0] == "make"]


@pytest.mark.parametrize("command", MADE, ids=str)
def test_make_knows_the_target_and_its_variables(command: Command):
    makefile = (ROOT / "Makefile").read_text()
    for word in command.words[1:]:
        name = word.partition("=")[0]
        known = rf"^{name}:.*## " if "=" not in word else rf"\$\({name}\)|ifn?def {name}\b|^{name} +\?="
        assert re.search(known, makefile, re.M), word


def test_what_make_runs_is_read_too():
    lines: set[str] = set()
    for one in MADE:
        if one.words[1] in ("paper", "dashboards"):
            words = ["make", "-n", *one.words[1:]]
            said = subprocess.run(words, check=True, cwd=ROOT, capture_output=True, text=True).stdout
            lines |= {" ".join(line.split()) for line in re.findall(r"^\S+python (-m rm_selection\..*)$", said, re.M)}
    for words in split(*sorted(lines)):
        read(words)


@pytest.mark.parametrize("command", [one for one in DOCUMENTED if one.words[0] == "pip"], ids=str)
def test_what_pip_installs_is_there(command: Command):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    name, extra = re.fullmatch(r"([\w-]+)\[(\w+)\]", command.words[-1]).groups()
    assert name == project["name"]
    assert extra in project["optional-dependencies"]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder that holds what the docs name: a base, files, a reward model, a study, and what others shared."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("documented")
    checkpoint(folder / "my-base")
    for name, start, count in (("pairs", 0, 48), ("validation", 100, 12), ("test", 200, 24)):
        _write(folder / f"{name}.jsonl", [asdict(pair) for pair in pairs(count, start)])
    rated = [
        asdict(row) | {"helpfulness": row.ratings["help"], "verbosity": row.ratings["length"]} for row in ratings(48)
    ]
    _write(folder / "ratings.jsonl", [{k: v for k, v in row.items() if k != "ratings"} for row in rated])
    texts = [{"text": f"A text of {name}, number {i}.", "domain": name} for name in ("books", "code") for i in range(8)]
    (folder / "text").mkdir()
    _write(folder / "text" / "all.jsonl", texts)
    (csv,) = (block.text for block in blocks() if block.kind == "csv")
    (folder / "mine.csv").write_text(csv)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", [])
        words = ["base=local", "base.path=my-base", "base.params_b=0.0001", *FILES, *BESIDES["train"]]
        assert call(train, *words, "study=mine") == 0
        assert call(importlib.import_module("rm_selection.share"), "study=mine", "to=others") == 0
        assert call(importlib.import_module("rm_selection.share"), "study=mine") == 0
    (run,) = (folder / "outputs" / "mine" / "runs").iterdir()
    shutil.copytree(run / "model", folder / "my-reward-model")
    return folder


def _write(path: Path, rows: list) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def small(command: Command) -> tuple[str, list[str]]:
    """The module and words of the command with what SUBSTITUTES and BESIDES say."""
    name, words = module_of(command.words), []
    for word in given(command.words):
        words += next((new for pattern, new, _ in SUBSTITUTES if re.fullmatch(pattern, word)), [word])
    kind = name.removeprefix("rm_selection.")
    if kind == "train" and not any(word.startswith("dataset=") for word in words):
        words += FILES
    besides = BESIDES.get(kind, [])
    if "feature=presence" in words or kind == "measure":
        besides = [word for word in besides if word.partition("=")[0] not in {one.partition("=")[0] for one in words}]
    return name, [*words, *besides]


def why_not_run(command: Command) -> str | None:
    return next((why for pattern, why in NOT_RUN if re.search(pattern, command.text)), None)


@pytest.mark.parametrize("command", [one for one in OURS if why_not_run(one) is None], ids=str)
def test_a_command_that_can_be_small_runs(command: Command, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", [])
    name, words = small(command)
    module = importlib.import_module(name)
    if any(word.startswith("budget_gpu_hours=") for word in words):
        module = importlib.import_module("rm_selection.recommend_budget")
    assert call(module, *words) == 0, capsys.readouterr().err
    assert capsys.readouterr().out


def test_a_substitute_or_an_exception_that_nothing_needs_is_gone():
    words = {word for one in OURS for word in one.words}
    for pattern, _, _ in SUBSTITUTES:
        assert any(re.fullmatch(pattern, word) for word in words), pattern
    for pattern, _ in NOT_RUN:
        assert any(re.search(pattern, one.text) for one in DOCUMENTED), pattern
    for _, why in NOT_RUN:
        for path in re.findall(r"tests/[\w./]+", why):
            assert (ROOT / path).exists(), path


def test_the_first_output_is_printed_so(place, monkeypatch, capsys):
    """The ranking of the README, row by row; columns depend on the terminal."""
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", [])
    (shown,) = (block.text for block in blocks() if block.text.startswith("$ "))
    assert call(importlib.import_module("rm_selection.recommend"), "max_params_b=9", "top=5") == 0
    said = capsys.readouterr().out
    rows = re.findall(
        r"^(\d)\s+(\S+)\s+([\d.]+)\s.*?([\d.]+ \[[\d.]+, [\d.]+\])\s+(\d+%)\s+(\d+%)\s+(\d+)\s+(\w+)", shown, re.M
    )
    assert len(rows) == 5
    assert (
        re.findall(
            r"^(\d)\s+(\S+)\s+([\d.]+)\s.*?([\d.]+ \[[\d.]+, [\d.]+\])\s+(\d+%)\s+(\d+%)\s+(\d+)\s+(\w+)", said, re.M
        )
        == rows
    )
    for line in shown.splitlines()[1:5]:
        assert " ".join(line.split()).rstrip(". ") in " ".join(said.split())


def test_the_lines_of_data_are_read_as_they_stand(place):
    from rm_selection.preferences import Source, read_pairs, read_ratings

    lines = [json.loads(line) for block in blocks() if block.kind == "json" for line in block.text.splitlines()]
    assert len(lines) == 5
    paired = [row | {"chosen": "Yes.", "rejected": "No."} for row in lines if "chosen" in row]
    _write(place / "shown.jsonl", paired)
    assert len(read_pairs(Source("jsonl", str(place / "shown.jsonl"))).rows) == len(paired)
    (rated,) = (row for row in lines if "helpfulness" in row)
    _write(place / "shown.jsonl", [rated])
    assert read_ratings(Source("jsonl", str(place / "shown.jsonl")), ["helpfulness"], 0, 4).rows[0].ratings == {
        "helpfulness": 4
    }


@pytest.mark.parametrize("block", [one for one in blocks() if one.kind == "python"], ids=lambda one: one.text[:40])
def test_a_snippet_runs(block, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    exec(compile(block.text, block.page.name, "exec"), {})
    assert capsys.readouterr().out


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_a_page_of_docs_is_at_most_100_columns_wide_but_for_tables():
    for page in PAGES[1:]:
        assert not [line for line in page.read_text().splitlines() if len(line) > 100 and line[0] != "|"], page.name
