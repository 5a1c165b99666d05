"""The imports of the code, held to the table of rooms in docs/architecture.md.

Every rule is a function from a module's name and source to complaints, so that each
can be shown to fail on a planted mistake.
"""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
        ".__init__"
    ): path.read_text()
    for path in sorted((ROOT / "updater").rglob("*.py"))
}
MAX_FUNCTION = 60  # lines
MAX_MODULE = 450  # lines

BASE = {"model", "errors"}
MAY_IMPORT = {
    "errors": set(),
    "model": {"model"},
    "settings": {*BASE, "core"},
    "config": {*BASE, "core", "settings"},
    "core": {*BASE, "core"},
    "system": {*BASE, "core", "system.fs", "system.process", "system.bus"},
    "steps": {*BASE, "core", "system"},
    "report": {*BASE, "core", "system", "report"},
    "lock": {*BASE, "core", "system", "lock"},
    "publish": {*BASE, "core", "system", "publish"},
    "site": {*BASE, "core", "system", "report", "site"},
    "fetcher": {*BASE, "system.git"},
    "agent": {*BASE, "agent", "core", "system", "steps", "report", "lock", "publish"}
    | {"fetcher", "config", "settings"},
    "cli": {*BASE, "agent", "report", "lock", "publish", "site", "config", "settings"}
    | {"cli"},
    "service": {*BASE, "agent", "report", "lock", "publish", "config", "settings"}
    | {"system.bus"},
    "__main__": {"cli", "errors"},
    "__init__": set(),
}
"""Room -> what its modules may import of the package."""

EVERYWHERE = {"msgspec"}
LIBRARY_DOORS = {
    "aiohttp": {"updater.lock"},
    "dbus_next": {"updater.system.bus"},
    "jinja2": {"updater.lock", "updater.report.page"},
    "markdown_it": {"updater.site.notes"},
    "markupsafe": {"updater.report.page"},
    "pygit2": {"updater.system.git"},
}
"""Library -> the rooms and modules that know it."""
NO_IO = {"os", "io", "time", "logging", "pathlib", "shutil", "socket", "tempfile"}
PROCESS_DOORS = {"updater.system.process", "updater.system.fetchchild"}
PROCESS_MODULES = {"subprocess", "multiprocessing", "concurrent", "pty"}
PROCESS_CALLS = ("fork", "forkpty", "system", "popen", "exec", "spawn", "posix_spawn")
FS_CALLS = {"rename", "renames", "replace", "fsync", "fdatasync", "sync"}
MAKERS = {"Release": "updater.steps.verify", "Deployment": "updater.steps.stage"}


def room(name):
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(source):
    """(dotted name, line) of every import, lazy and conditional ones too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def calls(source):
    """(the function's written name, line) of every call."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def below(name, rooms):
    return any(name == entry or name.startswith(f"{entry}.") for entry in rooms)


def forbidden_imports(name, source):
    allowed = set(MAY_IMPORT[room(name)])
    if room(name) == "system":
        # One outside thing may fill a package (system.git); its modules are one room.
        allowed.add(".".join(name.split(".")[1:3]))
    for target, line in imports(source):
        if target == "updater.__version__":
            continue
        if target.startswith("updater."):
            inner = target.removeprefix("updater.")
            if not below(inner, allowed):
                yield f"{name}:{line}: may not import {target}"


def foreign_libraries(name, source):
    for target, line in imports(source):
        top = target.split(".")[0]
        if top == "updater" or top in sys.stdlib_module_names or top in EVERYWHERE:
            continue
        doors = LIBRARY_DOORS.get(top)
        if doors and not below(name, doors):
            yield f"{name}:{line}: {top} belongs to {', '.join(sorted(doors))}"
        elif not doors and room(name) != "system":
            yield f"{name}:{line}: {top} belongs behind a door in updater.system"


def impurity(name, source):
    if room(name) != "core":
        return
    for target, line in imports(source):
        if target.split(".")[0] in NO_IO | PROCESS_MODULES:
            yield f"{name}:{line}: core is pure and may not import {target}"
    for call, line in calls(source):
        if call in ("open", "print", "input") or call.endswith((".now", ".today")):
            yield f"{name}:{line}: core is pure and may not call {call}"


def process_door(name, source):
    if name in PROCESS_DOORS:
        return
    for target, line in imports(source):
        if target.split(".")[0] in PROCESS_MODULES:
            yield f"{name}:{line}: {target} belongs to updater.system.process"
    for call, line in calls(source):
        if call.startswith("os.") and call[3:].startswith(PROCESS_CALLS):
            yield f"{name}:{line}: {call} belongs to updater.system.process"


def durability_door(name, source):
    if name == "updater.system.fs":
        return
    for target, line in imports(source):
        if target.split(".")[0] == "pathlib":
            yield f"{name}:{line}: Path renames past updater.system.fs"
        if target in {f"os.{call}" for call in FS_CALLS} or target == "shutil.move":
            yield f"{name}:{line}: {target} belongs to updater.system.fs"
    for call, line in calls(source):
        owner, _, method = call.rpartition(".")
        if (owner == "os" and method in FS_CALLS) or call == "shutil.move":
            yield f"{name}:{line}: {call} belongs to updater.system.fs"


def makers(name, source):
    for call, line in calls(source):
        made = call.rpartition(".")[2]
        if made in MAKERS and name != MAKERS[made]:
            yield f"{name}:{line}: only {MAKERS[made]} makes a {made}"


def sizes(name, source):
    length = source.count("\n")
    if length > MAX_MODULE:
        yield f"{name}: {length} lines, more than {MAX_MODULE}"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            if length > MAX_FUNCTION:
                yield f"{name}:{node.lineno}: {node.name} has {length} lines"


RULES = [
    forbidden_imports,
    foreign_libraries,
    impurity,
    process_door,
    durability_door,
    makers,
    sizes,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_code_keeps_the_rule(rule):
    complaints = [line for name in MODULES for line in rule(name, MODULES[name])]
    assert not complaints, "\n" + "\n".join(complaints)


def test_every_module_has_a_room():
    assert {room(name) for name in MODULES} <= set(MAY_IMPORT)
    assert len(MODULES) > 20


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [
        (forbidden_imports, "updater.core.x", "from updater.system import fs"),
        (forbidden_imports, "updater.core.x", "import updater.config"),
        (forbidden_imports, "updater.system.x", "from updater.system.store import a"),
        (forbidden_imports, "updater.steps.x", "from updater.steps.stage import stage"),
        (forbidden_imports, "updater.steps.x", "from updater.config import load"),
        (forbidden_imports, "updater.report.x", "def f():\n from updater import cli"),
        (forbidden_imports, "updater.cli.x", "from updater.system.fs import rename"),
        (forbidden_imports, "updater.cli.x", "from updater.core import tree"),
        (forbidden_imports, "updater.agent", "from updater.cli import main"),
        (forbidden_imports, "updater.fetcher", "from updater.core.text import safe"),
        (forbidden_imports, "updater.model", "from updater.errors import HostError"),
        (foreign_libraries, "updater.agent", "import pygit2"),
        (foreign_libraries, "updater.system.fs", "from pygit2 import Odb"),
        (foreign_libraries, "updater.cli.x", "import rich"),
        (foreign_libraries, "updater.report.diff_html", "def f():\n import jinja2"),
        (foreign_libraries, "updater.site.pages", "import markdown_it"),
        (forbidden_imports, "updater.site.x", "from updater.publish import target"),
        (forbidden_imports, "updater.report.x", "from updater.site import pages"),
        (foreign_libraries, "updater.cli.x", "import aiohttp"),
        (foreign_libraries, "updater.lock.x", "import pygit2"),
        (foreign_libraries, "updater.system.logind", "import dbus_next"),
        (impurity, "updater.core.x", "import os"),
        (impurity, "updater.core.x", "from time import time"),
        (impurity, "updater.core.x", "open('x')"),
        (impurity, "updater.core.x", "datetime.now(UTC)"),
        (process_door, "updater.agent", "import subprocess"),
        (process_door, "updater.steps.x", "os.fork()"),
        (process_door, "updater.steps.x", "os.execv('x', [])"),
        (durability_door, "updater.system.x", "os.replace(a, b)"),
        (durability_door, "updater.system.x", "from os import fsync"),
        (durability_door, "updater.steps.x", "from pathlib import Path"),
        (makers, "updater.agent", "Release(version='x')"),
        (makers, "updater.steps.verify", "model.Deployment(1)"),
        (sizes, "updater.core.x", "def f():\n" + " pass\n" * 60),
        (sizes, "updater.core.x", "\n" * 451),
    ],
)
def test_the_rule_sees_a_planted_mistake(rule, name, source):
    assert list(rule(name, source))


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [
        (forbidden_imports, "updater.system.x", "from updater.system.fs import rename"),
        (forbidden_imports, "updater.system.git.a", "import updater.system.git.b"),
        (forbidden_imports, "updater.cli.x", "from updater import __version__, config"),
        (foreign_libraries, "updater.system.git.x", "import pygit2"),
        (foreign_libraries, "updater.report.page", "import jinja2"),
        (foreign_libraries, "updater.lock.x", "from aiohttp import web"),
        (process_door, "updater.system.process", "import subprocess\nos.fork()"),
        (durability_door, "updater.cli.x", "'a'.replace('b', 'c')"),
        (makers, "updater.steps.verify", "Release(1)"),
        (sizes, "updater.core.x", "def f():\n" + " pass\n" * 59),
    ],
)
def test_the_rule_lets_good_code_pass(rule, name, source):
    assert not list(rule(name, source))
