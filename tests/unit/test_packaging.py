"""What is installed beside the package says what the package does."""

import re
import tomllib
from pathlib import Path

from updater import config
from updater.settings import as_values

ROOT = Path(__file__).parents[2]


def test_the_shipped_defaults_are_the_defaults(tmp_path):
    text = (ROOT / "install/00-defaults.toml").read_text()
    uncommented = re.sub(r"^#(?=[\[a-z])", "", text, flags=re.MULTILINE)
    assert uncommented.count("\n[") == 5
    path = tmp_path / "all.toml"
    path.write_text(uncommented)
    assert config.load("/", str(path)).settings == config.load(str(tmp_path)).settings


def test_the_shipped_file_itself_sets_nothing(tmp_path):
    only = str(ROOT / "install/00-defaults.toml")
    assert config.load(str(tmp_path), only).origins == {}


def test_the_documentation_names_every_setting():
    text = (ROOT / "docs/config.md").read_text()
    settings = as_values(config.load("/nonexistent").settings)
    missing = [
        f"{table}.{key}"
        for table, values in settings.items()
        for key in values
        if f"`{key}`" not in re.split(r"\n##+ ", text.partition(f"# [{table}]")[2])[0]
    ]
    assert not missing


def test_every_file_beside_the_code_is_installed_with_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    told = project["tool"]["setuptools"]["package-data"]
    installed = {
        path
        for package, patterns in told.items()
        for pattern in patterns
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    beside = {
        path
        for path in (ROOT / "updater").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert len(beside) > 5
    assert beside <= installed
