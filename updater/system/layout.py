"""Where things lie on this machine, all below one root directory (DESIGN section 4)."""

import os

from msgspec import Struct

from updater.model import DeploymentId, Download
from updater.system import fs


class Layout(Struct, frozen=True):
    """Paths. `root` stands for `/`, `deploy` is `[deploy] path`."""

    root: str
    deploy: str

    def below(self, path: str) -> str:
        """An absolute path, seen from the root."""
        return os.path.join(self.root, path.lstrip("/"))

    @property
    def state_dir(self) -> str:
        """Everything that osupdate remembers."""
        return self.below("var/lib/osupdate")

    @property
    def state(self) -> str:
        """state.json."""
        return os.path.join(self.state_dir, "state.json")

    @property
    def reserve(self) -> str:
        """Room on the disk that only going back may use."""
        return os.path.join(self.state_dir, "reserve")

    @property
    def ledger(self) -> str:
        """ledger.jsonl."""
        return os.path.join(self.state_dir, "ledger.jsonl")

    @property
    def lock(self) -> str:
        """The lock file."""
        return os.path.join(self.state_dir, "lock")

    @property
    def repository(self) -> str:
        """objects.git: commits, trees, and the blobs that deployments cannot give."""
        return os.path.join(self.state_dir, "objects.git")

    @property
    def channels(self) -> str:
        """channels.git: the logs of channels and of trust, with their history."""
        return os.path.join(self.state_dir, "channels.git")

    @property
    def incoming(self) -> str:
        """Downloads, trusted by nobody."""
        return os.path.join(self.state_dir, "incoming")

    @property
    def public(self) -> str:
        """What people without privileges may see."""
        return os.path.join(self.state_dir, "public")

    @property
    def releases(self) -> str:
        """What every release said of itself that was ever here."""
        return os.path.join(self.public, "releases")

    @property
    def deployments(self) -> str:
        """The directory of deployments."""
        return os.path.join(self.below(self.deploy), "deployments")

    @property
    def spare(self) -> str:
        """The directories of the last deployment that went, for the next one."""
        return os.path.join(self.deployments, ".spare")

    @property
    def current(self) -> str:
        """The symlink to the deployment that runs."""
        return os.path.join(self.below(self.deploy), "current")

    def deployment(self, name: DeploymentId) -> str:
        """A deployment's directory."""
        return os.path.join(self.deployments, name)

    def index(self, name: DeploymentId) -> str:
        """A deployment's stat index."""
        return os.path.join(self.state_dir, "index", f"{name}.idx")

    def download(self, download: Download) -> str:
        """The object directory of a download."""
        return os.path.join(self.incoming, download.directory or "none", "objects")

    def data(self, directory: str) -> str:
        """Where the data of a persistent directory lives in checkout mode."""
        return os.path.join(self.below(self.deploy), "data", directory.lstrip("/"))

    def make(self) -> None:
        """Create the directories that are missing.

        Raises:
            HostError.
        """
        fs.make_directories(self.state_dir, 0o755)
        fs.make_directories(self.public, 0o755)
        fs.make_directories(os.path.join(self.state_dir, "index"), 0o700)
        fs.make_directories(self.incoming, 0o700)
        fs.make_directories(self.below(self.deploy), 0o700)
        fs.make_directories(self.deployments, 0o700)
