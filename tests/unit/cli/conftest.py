"""The command line with a fake agent behind it."""

import sys
from types import ModuleType

import pytest
from support.fake_agent import FakeAgent

from updater.cli import main


@pytest.fixture
def agent(monkeypatch):
    """The fake in the place of updater.agent."""
    fake = FakeAgent()
    module = ModuleType("updater.agent")
    module.Agent = fake
    monkeypatch.setitem(sys.modules, "updater.agent", module)
    return fake


@pytest.fixture
def osupdate(agent, tmp_path, capsys):
    """Runs a command line below an empty root: (exit code, stdout, stderr).

    The root is not repeated in the commands that are shown: tests of what they say do
    not care where it is, and test_console.py holds that they name it.
    """

    def run(*argv, root=True):
        code = main([*argv, "--root", str(tmp_path)] if root else list(argv))
        named = f"osupdate --root {tmp_path} "
        out, err = (text.replace(named, "osupdate ") for text in capsys.readouterr())
        return code, out, err

    return run
