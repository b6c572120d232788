"""What a wheel must carry, seen from the checkout: pyproject.toml names it, and the package finds it."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import rm_selection
from rm_selection import config, tables

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_configurations_are_those_of_the_checkout():
    assert config.CONF == ROOT / "conf"
    assert {path.stem for path in config.CONF.glob("*.yaml")} >= {"recommend", "regress", "report"}


def test_a_wheel_takes_the_configurations_into_the_package():
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": ["rm_selection", "hydra_plugins"], "force-include": {"conf": "rm_selection/conf"}}


def test_an_installed_package_prefers_the_configurations_it_carries(tmp_path):
    package = tmp_path / "rm_selection"
    (package / "conf").mkdir(parents=True)
    for name in ("__init__.py", "config.py", "errors.py", "settings.py"):
        (package / name).write_bytes((ROOT / "rm_selection" / name).read_bytes())
    words = [sys.executable, "-c", "from rm_selection import config; print(config.CONF)"]
    found = subprocess.run(words, check=True, cwd=tmp_path, capture_output=True, text=True).stdout.strip()
    assert Path(found) == package / "conf"


def test_data_and_templates_lie_in_the_package():
    assert tables.DATA.parent == Path(rm_selection.__file__).parent
    assert {"models.csv", "rewardbench.csv", "stages.csv", "benchmarks.csv", "candidates.csv"} <= {
        path.name for path in tables.DATA.iterdir()
    }
    assert (tables.DATA.parent / "html" / "page.html.j2").is_file()


def test_nothing_a_wheel_needs_is_ignored_by_git():
    words = ["git", "check-ignore", *map(str, [*config.CONF.iterdir(), *tables.DATA.iterdir()])]
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    assert subprocess.run(words, check=False, cwd=ROOT, capture_output=True, text=True).stdout == ""


def test_the_version_stands_once():
    assert PROJECT["project"]["version"] == rm_selection.__version__


def test_every_dependency_is_pinned_in_the_constraints():
    pinned = {line.partition("==")[0].strip().lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    needed = {re.match(r"[\w.-]+", text)[0].lower() for text in PROJECT["project"]["dependencies"]}
    assert needed <= pinned
