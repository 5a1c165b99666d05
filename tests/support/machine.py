"""A directory that stands for a machine, and the command that is run on it."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from support import trees

from updater.cli import main
from updater.core.index import Index, from_bytes

ROOT = Path(__file__).parents[2]


class Done(NamedTuple):
    """How a command ended; stderr is text with progress, messages and errors."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


class Machine:
    """`root` stands for /; releases come from `repo`."""

    def __init__(self, root, repo, *, signers=None, channel="releases", **tables):
        self.root = Path(root)
        self.repo = repo
        self.deploy = "osupdate"  # as in [deploy] path
        self.prefix = []  # of commands that run as a process of their own
        self.etc = self.root / "etc/osupdate"
        (self.etc / "trust").mkdir(parents=True, exist_ok=True)
        self.tables = {
            "remote": {"url": f"file://{repo}", "channel": channel},
            "trust": {"mode": "tag" if signers else "unsigned"},
        }
        if signers:
            (self.etc / "trust/release").write_text(signers)
        self.configure(**tables)

    def configure(self, **tables):
        """Change settings: table name -> keys."""
        for name, keys in tables.items():
            self.tables.setdefault(name, {}).update(keys)
        lines = []
        for name, keys in self.tables.items():
            lines.append(f"[{name}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
        (self.etc / "config.toml").write_text("\n".join(lines) + "\n")

    def run(self, *argv, code=0):
        """Run the command here, in this process; it must end with `code`."""
        out, err = io.StringIO(), io.StringIO()
        arguments = [str(a) for a in ("--root", self.root, "--yes", *argv)]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            got = main(arguments)
        done = self._done(got, out.getvalue(), err.getvalue())
        assert code in (None, got), f"{argv}: exit {got}\n{done.out}{done.err}"
        assert "Traceback" not in done.err
        assert "mistake in osupdate" not in done.err, done.err
        return done

    def command(self, *argv):
        """The argument vector of the command as a process of its own."""
        program = [*self.prefix, sys.executable, "-m", "updater"]
        return [*program, "--root", self.root, "--yes", *argv]

    def start(self, *argv, **kw):
        """The command as a process of its own, with pipes."""
        return subprocess.Popen(
            [str(a) for a in self.command(*argv)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": f"{ROOT}"},
            **kw,
        )

    def finish(self, *argv, code=0, **kw):
        """Run the command as a process of its own; it must end with `code`."""
        with self.start(*argv, **kw) as process:
            out, err = process.communicate(timeout=100)
        assert code in (None, process.returncode), f"{argv}: {out}{err}"
        return self._done(process.returncode, out, err)

    def _done(self, code, *texts):
        """The commands that are shown do not repeat the root; one test has its own."""
        named = f"osupdate --root {self.root} "
        return Done(code, *(text.replace(named, "osupdate ") for text in texts))

    @property
    def state_dir(self):
        return self.root / "var/lib/osupdate"

    @property
    def deployments(self):
        return self.root / self.deploy / "deployments"

    @property
    def current(self):
        return self.root / self.deploy / "current"

    @property
    def state(self):
        return json.loads((self.state_dir / "state.json").read_text())

    @property
    def versions(self):
        """The versions deployed here, oldest first."""
        return [record["version"] for record in self.state["deployments"]]

    @property
    def running(self):
        """The version that `current` leads to, by the name of its directory."""
        name = os.path.basename(os.readlink(self.current))
        known = {r["id"]: r["version"] for r in self.state["deployments"]}
        return known[name]

    @property
    def ledger(self):
        """Every line of the ledger; a line that is not JSON fails."""
        text = (self.state_dir / "ledger.jsonl").read_text()
        assert text.endswith("\n")
        return [json.loads(line) for line in text.splitlines()]

    @property
    def events(self):
        return [entry["event"] for entry in self.ledger]

    def everything(self):
        """What could have changed; the lock file and the way there aside."""
        found = trees.everything(self.root)
        found.pop(b"var/lib/osupdate/lock", None)
        return found

    def leftovers(self):
        """Paths that nothing points at; the spare directories are kept on purpose."""
        state = self.state
        ids = {record["id"] for record in state["deployments"]}
        pending = state["download"] and state["download"]["directory"]
        known = {*ids, ".spare"}
        found = [p for p in self.deployments.iterdir() if p.name not in known]
        found += [p for p in self.current.parent.iterdir() if _is_temporary(p)]
        found += [
            p for p in (self.state_dir / "incoming").iterdir() if p.name != pending
        ]
        found += [p for p in (self.state_dir / "index").iterdir() if p.stem not in ids]
        found += [p for p in self.state_dir.rglob("*") if _is_temporary(p)]
        packs = self.state_dir / "objects.git/objects/pack"
        names = {p.name for p in packs.iterdir()}
        found += [
            packs / name
            for name in names
            if not re.fullmatch(r"pack-[0-9a-f]{40}\.(pack|idx)", name)
            or not {f"{name[:45]}.pack", f"{name[:45]}.idx"} <= names
        ]
        return sorted(str(p.relative_to(self.root)) for p in found)

    def damage(self, path, data):
        """Other bytes in a file of the running deployment, unnoticeable by stat."""
        full = os.path.join(os.path.realpath(self.current), path)
        with open(full, "r+b") as file:
            assert len(file.read()) == len(data)
            file.seek(0)
            file.write(data)
        self.pretend_untouched()

    def pretend_untouched(self):
        """Make every index agree with what stat says now."""
        for path in (self.state_dir / "index").iterdir():
            index = from_bytes(path.read_bytes())
            top = os.fsencode(self.deployments / path.stem)
            rows = {}
            for name, row in index.rows.items():
                facts = os.lstat(os.path.join(top, name))
                now = row.stat._replace(
                    mtime=facts.st_mtime_ns,
                    ctime=facts.st_ctime_ns,
                    inode=facts.st_ino,
                )
                rows[name] = row._replace(stat=now)
            path.write_bytes(Index(index.device, rows).to_bytes())


def _is_temporary(path):
    name = path.name
    return name.startswith("tmp_") or name.endswith((".tmp", ".part", ".broken"))
