import os
import signal
import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from rm_selection import config, train
from rm_selection.budget_settings import BudgetConfig
from rm_selection.config import entry_point, typed
from rm_selection.dashboards_settings import DashboardsConfig
from rm_selection.errors import ConfigError, FitError
from rm_selection.jobs import Refusals
from rm_selection.measure_settings import MeasureConfig
from rm_selection.microcosm_settings import BuildConfig
from rm_selection.plan_settings import PlanConfig
from rm_selection.posttrain_settings import PosttrainConfig
from rm_selection.settings import RecommendConfig, RegressConfig, ReportConfig, ShareConfig, StatusConfig, StudyConfig
from rm_selection.throughput_settings import ThroughputConfig
from rm_selection.train_settings import EvaluateConfig, TrainConfig

SCHEMAS = {
    "dashboards": DashboardsConfig,
    "evaluate": EvaluateConfig,
    "measure": MeasureConfig,
    "microcosm": BuildConfig,
    "plan": PlanConfig,
    "posttrain": PosttrainConfig,
    "recommend": RecommendConfig,
    "recommend_budget": BudgetConfig,
    "regress": RegressConfig,
    "report": ReportConfig,
    "share": ShareConfig,
    "status": StatusConfig,
    "throughput": ThroughputConfig,
    "train": TrainConfig,
}
NEEDED = {
    "evaluate": {"model": "folder"},
    "recommend_budget": {"budget_gpu_hours": 40},
    "throughput": {"model": "folder", "pairs": "file"},
}  # settings without a default
done: list[StudyConfig] = []


@entry_point("recommend", RecommendConfig)
def task(settings: RecommendConfig) -> None:
    """Remember the settings."""
    if settings.seed == 13:
        raise FitError("13 cannot be fitted")
    if settings.seed == 14:
        raise KeyboardInterrupt
    done.append(settings)


@pytest.fixture
def call(monkeypatch, tmp_path, capsys):
    """Run the task in an empty folder; returns the exit code and what went to the error stream."""
    monkeypatch.chdir(tmp_path)
    done.clear()

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["recommend", *words])
        try:
            task()
        except SystemExit as left:
            return int(left.code or 0), capsys.readouterr().err
        return 0, capsys.readouterr().err

    return run


def shipped(name: str, **changes: object) -> StudyConfig:
    """The settings of conf/<name>.yaml, composed by Hydra, with `changes`."""
    with initialize_config_dir(str(config.CONF), version_base="1.3"):
        composed = compose(name)
    for key, value in (NEEDED.get(name, {}) | changes).items():
        OmegaConf.update(composed, key, value, force_add=True)
    return typed(SCHEMAS[name], composed)


def test_every_yaml_has_a_schema():
    assert {path.stem for path in config.CONF.glob("*.yaml")} == set(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_yaml_sets_every_setting_of_its_schema(name):
    assert set(asdict(shipped(name))) == {f.name for f in fields(SCHEMAS[name])}


def test_defaults_reach_the_task_typed(call):
    assert call() == (0, "")
    assert asdict(done[0]) | {"objective": done[0].objective.name} == {
        "study": "published",
        "output": "outputs",
        "objective": "regression",
        "candidates": None,
        "evaluation": None,
        "family_rule": False,
        "results": [],
        "mix_protocols": False,
        "max_params_b": None,
        "min_params_b": None,
        "category": ("chat", "chat_hard", "safety", "reasoning"),
        "licence": (),
        "exclude_family": (),
        "top": 10,
        "seed": 0,
    }


def test_a_setting_on_the_command_line_wins(call):
    assert call("max_params_b=9", "top=3", "study=mine", "output=/somewhere") == (0, "")
    assert (done[0].max_params_b, done[0].top, done[0].folder) == (9.0, 3, Path("/somewhere/mine"))


@pytest.mark.parametrize("given", ["licence=MIT", "licence=[MIT]", "licence=[ mit ]", "licence='Mit '"])
def test_one_name_or_a_list_of_one_are_the_same(call, given):
    assert call(given) == (0, "")
    assert done[0].licence == ("mit",)


def test_a_setting_may_refer_to_another(call):
    assert call("output=${study}s") == (0, "")
    assert done[0].folder == Path("publisheds/published")


REFUSED = {
    # unknown settings
    "bogus=1": "unknown setting bogus; allowed are study, output, objective",
    "+extra=1": "unknown setting extra; allowed are study, output",
    "++extra=1": "unknown setting extra; allowed are study, output",
    "max_param_b=9": "unknown setting max_param_b; did you mean max_params_b? allowed are study",
    "license=mit": "unknown setting license; did you mean licence? allowed are",
    "dataset=mine": "dataset is no setting here: it is for a choice under a budget; add budget_gpu_hours=HOURS",
    "hardware.threads=1": "hardware.threads is no setting here: it is for a choice under a budget",
    "study.x=1": "unknown setting study.x; did you mean study?",
    # missing values
    "study=???": "setting study has no value; give one with study=...",
    "top=???": "setting top has no value; give one with top=...",
    "~top": "setting top has no value; give one with top=...",
    "top=": "top is not valid: Value '' of type 'str' could not be converted to Integer",
    "study=": "study= is not allowed; give a folder name of letters, digits, dot, dash and underscore",
    "study=null": "study is not valid: Incompatible value 'None' for field of type 'str'",
    "output=": "output= is not allowed; give a folder",
    "candidates=": "candidates= is not allowed; give a CSV file, or null for the shipped candidates",
    # wrong types
    "max_params_b=9B": "max_params_b is not valid: Value '9B' of type 'str' could not be converted to Float; "
    "max_params_b is: largest size, billions of parameters; null: any",
    "top=1.5": "top is not valid: Value '1.5' of type 'float' could not be converted to Integer; top is: rows to print",
    "top=true": "top is not valid: Value 'True' of type 'bool'",
    "top=null": "top is not valid: Incompatible value 'None' for field of type 'int'",
    "objective=[regression,bradley_terry]": "objective names several; give one, or run each with -m",
    "objective.epoch=1": "unknown setting objective.epoch; did you mean objective.epochs?",
    "category=harm": "category=harm is not allowed; give one or several of chat, chat_hard, safety, reasoning",
    "licence={a:1}": "licence={'a': 1} is not allowed; give one name, or several as [a,b]",
    "licence=1": "licence=1 is not allowed; give one name, or several as [a,b]",
    "exclude_family=[]": "exclude_family=[] is not allowed; give one name, or several as [a,b]",
    # out of range
    "max_params_b=-1": "max_params_b=-1.0 is not allowed; give a size above 0, in billions of parameters",
    "max_params_b=0": "max_params_b=0.0 is not allowed",
    "min_params_b=nan": "min_params_b=nan is not allowed; give a size above 0",
    "min_params_b=1e400": "min_params_b=inf is not allowed; give a size above 0",
    "top=0": "top=0 is not allowed; give a whole number from 1 to 100000",
    "seed=-1": "seed=-1 is not allowed; give a whole number from 0 to 4294967295",
    "objective=bt": "objective=bt is not allowed; give bradley_terry or regression",
    "study=../x": "study=../x is not allowed; give a folder name of letters",
    # what Hydra cannot read
    "licence=a,b": "licence=a,b names several values; write a list as 'licence=[a,b]'",
    "max_params_b=9,5": "max_params_b=9,5 names several values; give one, or run each with -m",
    "top": "settings are written name=value",
    "candidates=a (1).csv": "unusual values quoted twice: \"name='a (1).csv'\"",
    "output='${'": "the command line could not be read (Error merging override",
    "output=${nope}": "output is not valid: Interpolation key 'nope' not found; output is: folder that holds",
    "output=${oc.env:RM_NOPE}": "output is not valid: KeyError raised while resolving interpolation",
    "--top=5": "--top=5 is not an option; settings are written without dashes: top=...",
    "--max-params-b": "--max-params-b is not an option; settings are written without dashes: max_params_b=...",
    "=5": "=5 has no name; settings are written name=value, without blanks around =",
    "--config-name=other": "Cannot find primary config 'other'",
}


@pytest.mark.parametrize("given", REFUSED)
def test_a_setting_is_refused_in_one_sentence_before_anything_is_written(call, tmp_path, given):
    code, said = call(given)
    assert code == 2
    assert said.startswith("error: ")
    assert REFUSED[given] in said
    assert said.count("\n") == 1
    assert not done
    assert not list(tmp_path.iterdir())


def test_the_smallest_size_may_not_exceed_the_largest(call):
    assert call("min_params_b=9", "max_params_b=3") == (
        2,
        "error: min_params_b=9.0 is not allowed; give at most max_params_b=3\n",
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resamples": 99}, "resamples=99 is not allowed; give a whole number from 100 to 100000"),
        ({"jobs": 0}, "jobs=0 is not allowed; give a whole number from 1 to 1024"),
        ({"seed": 2**32}, "seed=4294967296 is not allowed; give a whole number from 0 to 4294967295"),
    ],
)
def test_settings_of_regress_have_ranges(changes, message):
    with pytest.raises(ConfigError, match=message):
        shipped("regress", **changes)


@pytest.mark.parametrize("study", [".hidden", "a/b", "a b", "..", "a\n", ""])
def test_a_study_is_a_plain_folder_name(study):
    with pytest.raises(ConfigError, match="is not allowed; give a folder name of letters, digits"):
        shipped("report", study=study)


def test_help_names_every_setting_with_its_default(call, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["recommend", "bogus=1", "--help"])
    task()
    lines = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")}
    defaults = asdict(shipped("recommend")) | dict.fromkeys(["category", "licence", "exclude_family"], "null")
    defaults["objective"] = "regression"
    assert lines == {f"{k}={'null' if v is None else v}" for k, v in defaults.items()}
    assert not done


@pytest.mark.parametrize("name", SCHEMAS)
def test_help_loads_neither_hydra_nor_pandas(tmp_path, name):
    module = "microcosm.__main__" if name == "microcosm" else name
    code = f"""import sys; from rm_selection.{module} import main; sys.argv = ["x", "-h"]; main()
print("loaded:", *{{"hydra", "pandas", "numpy", "pydantic", "rich", "matplotlib"}} & set(sys.modules))"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    usage = name.replace("_budget", " budget_gpu_hours=HOURS")
    assert done.stdout.splitlines()[2] == f"usage: python -m rm_selection.{usage} [setting=value ...]"
    assert done.stdout.splitlines()[-1].strip() == "loaded:"


def test_a_sweep_runs_every_job(call):
    assert call("-m", "top=1,2", "objective=regression,bradley_terry")[0] == 0
    assert [(s.top, s.objective.name[0]) for s in done] == [(1, "r"), (1, "b"), (2, "r"), (2, "b")]


def test_a_sweep_may_be_asked_for_between_settings(call):
    assert call("seed=1", "-m", "top=1,2")[0] == 0
    assert [(s.seed, s.top) for s in done] == [(1, 1), (1, 2)]


def test_a_refused_job_of_a_sweep_does_not_stop_the_others(call):
    code, said = call("-m", "top=0,1,2")
    assert (code, said) == (2, "error: top=0 is not allowed; give a whole number from 1 to 100000\n")
    assert [s.top for s in done] == [1, 2]


@entry_point("regress", RegressConfig)
def worker(settings: RegressConfig) -> None:
    """Leave the number of this process; be killed at two seeds, at one of them once; be refused at others."""
    (settings.folder / f"{settings.seed}.pid").write_text(str(os.getpid()))
    once = settings.folder / "12.killed"
    if settings.seed == 13 or (settings.seed == 12 and not once.is_file()):
        once.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if settings.seed > 13:
        raise FitError(f"{settings.seed} cannot be fitted")


@pytest.fixture
def workers(monkeypatch, tmp_path, capfd):
    """Sweep the seeds in two worker processes; returns the exit code, the error stream and the processes' numbers."""

    def run(seeds: str, *launcher: str) -> tuple[int, list[str], set[str]]:
        launcher = launcher or ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
        monkeypatch.setattr(sys, "argv", ["regress", "-m", f"output={tmp_path}", f"seed={seeds}", *launcher])
        code = 0
        try:
            worker()
        except SystemExit as left:
            code = int(left.code or 0)
        told = capfd.readouterr().err.splitlines()
        return code, told, {path.read_text() for path in tmp_path.rglob("*.pid")}

    return run


def test_worker_processes_are_used_again_and_their_refusals_come_back_in_order(workers):
    code, told, processes = workers("1,15,2,3,14,-1,4")
    assert (code, told[0]) == (2, "error: 3 jobs failed:")
    assert told[1:3] == ["15 cannot be fitted", "14 cannot be fitted"]
    assert told[3].startswith("seed=-1 is not allowed")
    assert 1 <= len(processes - {str(os.getpid())}) <= 2


def test_a_killed_worker_costs_its_job_only_which_is_named(workers, tmp_path):
    """It is killed at its second and third start as well; the others are done, and a refusal keeps its place."""
    code, told, _ = workers("1,13,2,14,3,4")
    assert (code, told[-3]) == (2, "error: 2 jobs failed:")
    assert told[-2].startswith("seed=13 was lost: its worker process was killed 3 times (SIGKILL), maybe for want of")
    assert told[-2].endswith("; give the same command again to go on with it")
    assert told[-1] == "14 cannot be fitted"
    assert {path.stem for path in tmp_path.rglob("*.pid")} == {"1", "2", "3", "4", "13", "14"}


def test_a_job_whose_worker_was_killed_once_is_done_at_its_next_start(workers, tmp_path):
    code, told, processes = workers("12,1")
    assert (code, told) == (0, [])
    assert (tmp_path / "published" / "12.killed").is_file()
    assert len(processes) == 2


def test_an_engine_that_is_not_installed_is_told_in_one_sentence(workers, monkeypatch):
    for name, package in (("ray", "ray"), ("slurm", "submitit")):
        monkeypatch.setitem(sys.modules, package, None)
        code, told, _ = workers("1,2", f"hydra/launcher={name}")
        start = f"error: hydra/launcher={name} needs {package}, which is not installed; pip install"
        assert (code, told) == (2, [f"{start} 'rm-selection[{name}]'"])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("joblib", "n_jobs=0", "n_jobs=0 is not allowed; give 1 or more, or -1 for one process a core"),
        ("joblib", "retries=-1", "retries=-1 is not allowed; give a whole number from 0"),
        ("ray", "cpus=0", "cpus=0 is not allowed; give a whole number from 1"),
        ("slurm", "minutes=long", "minutes is not valid: Value 'long' of type 'str' could not be converted to Integer"),
    ],
)
def test_a_launchers_settings_are_checked(workers, name, change, message):
    code, told, _ = workers("1,2", f"hydra/launcher={name}", f"hydra.launcher.{change}")
    assert code == 2
    assert told[-1].startswith(f"error: hydra.launcher.{message}")


def test_a_job_on_a_machine_without_the_starting_processs_folder_raises_its_refusal(tmp_path):
    with pytest.raises(FitError, match="elsewhere"):
        Refusals(tmp_path / "not here").add(FitError("elsewhere"), 0)


def test_an_error_of_the_task_is_one_line_and_code_2(call):
    assert call("seed=13") == (2, "error: 13 cannot be fitted\n")


def test_an_interrupt_is_one_line_and_code_130(call):
    code, said = call("seed=14")
    assert code == 130
    assert said == "interrupted: no file was left half written; the same command starts again\n"


def test_a_sweep_that_may_not_write_its_record_is_one_line_and_code_2(call, monkeypatch):
    def forbidden(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied", "outputs/published/multirun.yaml")

    monkeypatch.setattr(OmegaConf, "save", forbidden)
    code, said = call("-m", "top=1,2")
    assert code == 2
    assert said.startswith(
        "error: outputs/published/multirun.yaml cannot be read or written (Permission denied); check"
    )


def test_a_defect_of_ours_is_not_hidden(monkeypatch, tmp_path):
    @entry_point("report", ReportConfig)
    def broken(settings: ReportConfig) -> None:
        raise ValueError("ours")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["report"])
    with pytest.raises(ValueError, match="ours"):
        broken()


def test_a_command_refuses_from_any_folder_with_code_2(tmp_path):
    words = [sys.executable, "-m", "rm_selection.recommend", "bogus=1"]
    env = {"PATH": os.environ["PATH"]}  # no HOME, no locale
    run = subprocess.run(words, check=False, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("error: unknown setting bogus; allowed are study")
    assert not list(tmp_path.iterdir())


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    command = f'"{sys.executable}" -m rm_selection.train --help | head -1'
    found = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stderr == ""
    assert found.stdout.startswith("Train a reward model")


def test_a_setting_that_only_another_choice_has_is_told_so(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train", "base=llama3", "base.path=here"])
    with pytest.raises(SystemExit):
        train.main()
    said = capsys.readouterr().err
    assert said == "error: base.path is no setting of the chosen base; the files of conf/base that hold it take it\n"


def test_a_sequence_is_one_list_and_never_a_sweep():
    words = ["-m", "base=a,b", "stage=sft,dpo", "stage=[sft]", "stage=${x}", "seed=1,2"]
    listed = ["-m", "base=a,b", "stage=[sft,dpo]", "stage=[sft]", "stage=${x}", "seed=1,2"]
    assert config._listed(words, PosttrainConfig) == listed
    assert config._listed(words, TrainConfig) == words
