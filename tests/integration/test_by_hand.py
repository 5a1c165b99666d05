"""docs/by-hand.md, run as it stands."""

import re
import subprocess
from pathlib import Path

from support import factory

PAGE = Path(__file__).parents[2] / "docs/by-hand.md"


def test_the_commands_of_the_page_verify_a_release(tmp_path):
    rootfs = factory.make_rootfs(
        tmp_path / "rootfs.in",
        {
            "etc/motd": "hi\n",
            "bin": factory.Symlink("usr/bin"),
            "usr/bin/x": ("#!", 0o4755),
        },
    )
    key, line = factory.make_key(tmp_path)
    (tmp_path / "signers").write_text(line)
    commit = factory.publish_release(tmp_path / "repo", rootfs, "1.0", key)
    blocks = re.findall(
        r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    done = subprocess.run(
        ["sh", "-euc", "".join(blocks)],
        cwd=tmp_path,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": "/nonexistent",
            "REPO": f"file://{tmp_path}/repo",
            "V": "1.0",
            "SIGNERS": str(tmp_path / "signers"),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "signed" in lines
    assert f"object {commit}" in lines
    assert commit in lines
    assert len([x for x in lines if x.startswith("Files: ")]) == 3
    assert len({x for x in lines if re.match("Files: |Bytes: ", x)}) == 2
    assert lines[-1] == f"Tree-SHA256: {lines[-2]}"
