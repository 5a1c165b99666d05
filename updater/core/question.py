"""What `when` is asked: a package, a package and a version, or a vulnerability."""

import re
from collections.abc import Iterable

from msgspec import Struct

from updater.core.chronicle import is_cve
from updater.core.packages import order
from updater.core.text import safe
from updater.errors import UsageError
from updater.model import Package

_EXPRESSION = re.compile(
    r"\s*([0-9A-Za-z@][0-9A-Za-z+._@:-]*)\s*(?:(>=|<=|==?|>|<)\s*([!-~]{1,200}))?\s*\Z"
)
_SIGNS = {">=": (0, 1), "<=": (0, -1), "=": (0,), "==": (0,), ">": (1,), "<": (-1,)}


class Question(Struct, frozen=True):
    """`name` is a package, a source package, or a CVE id; `version` "" is any."""

    name: str
    operator: str = ""
    version: str = ""

    @property
    def is_cve(self) -> bool:
        """Whether a vulnerability is asked about."""
        return is_cve(self.name)

    def __str__(self) -> str:
        return " ".join(
            part for part in (self.name, self.operator, self.version) if part
        )


def parse(text: str) -> Question:
    """Read `docker.io >= 20.10.24`, `openssh` or `CVE-2024-6387`.

    Raises:
        UsageError: it is neither.
    """
    match = _EXPRESSION.match(text)
    if match is None:
        raise UsageError(
            f'"{safe(text, 100)}" is not a question: expected a package, perhaps with '
            ">= > = < <= and a version, or a CVE id",
            hint="Such as: osupdate when 'docker.io >= 20.10.24'",
        )
    name, operator, version = match.groups(default="")
    if name.upper().startswith("CVE-"):
        name = name.upper()
        if not is_cve(name) or operator:
            raise UsageError(f'"{safe(text, 100)}" is not like CVE-2024-6387')
    return Question(name, operator, version)


def matching(question: Question, packages: Iterable[Package]) -> list[Package]:
    """The packages of that name; where there are none, those built from that source."""
    every = list(packages)
    named = [package for package in every if package.name == question.name]
    return named or [package for package in every if package.source == question.name]


def version_of(question: Question, package: Package) -> str:
    """Its own version, or that of its source where the source was asked about."""
    return package.version if package.name == question.name else package.built_from


def satisfies(question: Question, package: Package) -> bool:
    """Whether a package that matches is of a version that was asked for.

    A version without a revision is asked about as such: 1.0 is older than 1.0-1.
    """
    if not question.operator:
        return True
    version = version_of(question, package)
    sign = order.compare(package.family, version, question.version)
    return sign in _SIGNS[question.operator]
