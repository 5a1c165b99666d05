"""A repository on this machine that is only read: its refs and its objects."""

import os

import pygit2
from pygit2.enums import RepositoryOpenFlag

from updater.core.text import safe
from updater.errors import HostError
from updater.model import ObjectId
from updater.system.git.objects import Objects, configure, open_objects


class Reading:
    """A repository, bare or not.

    Attributes:
        objects: its object database.
        refs: every ref's name and what it holds (a tag's own id, not what it names).
    """

    def __init__(self, path: str) -> None:
        configure()
        if not os.path.isdir(path):
            raise HostError(f"there is no repository {path}")
        try:
            git = pygit2.Repository(path, RepositoryOpenFlag.NO_SEARCH)
            self.refs = {
                ref.name: ObjectId(str(ref.resolve().target))
                for ref in git.references.iterator()
            }
        except (pygit2.GitError, KeyError) as error:
            raise HostError(
                f"cannot read the repository {path}: {safe(str(error), 300)}"
            ) from error
        self.objects: Objects = open_objects([os.path.join(git.path, "objects")])
