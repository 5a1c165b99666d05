"""`when`: ask every known release for a package or a fix, each list read once."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from updater.agent.knowledge import Knowledge
from updater.agent.tell import states_of
from updater.core import chronicle, question
from updater.core.chronicle import Known
from updater.core.question import Question
from updater.model import ObjectId, Package, State
from updater.report.when import Answer, Found, Other

Ask = Callable[[Known], Found]


def when(knowledge: Knowledge, state: State | None, text: str) -> Answer:
    """Which release has it.

    Args:
        knowledge: of this machine, or of a repository.
        state: of this machine; None for a repository.
        text: the question, as it was typed.

    Raises:
        UsageError: it is not a question.
    """
    asked = question.parse(text)
    here = states_of(knowledge, state)
    ask = _about_cve(knowledge, asked, here) if asked.is_cve else None
    ask = ask or _about_package(knowledge, asked, here)
    found = [ask(release) for release in knowledge.releases]
    channels = knowledge.channels
    known = {
        name: _in_channel([f for f in found if f.release.commit in channel.releases])
        for name, channel in channels.items()
    }
    own = known.get(knowledge.name, found)
    by_commit = {item.release.commit: item for item in found}
    roles = knowledge.roles
    offer = state.offer if state else None
    every = [item.release for item in own]
    first, exact = _first(own)
    return Answer(
        question=asked,
        channel=knowledge.name,
        newest=own[0] if own else None,
        first=first,
        exact=exact,
        running=by_commit.get(roles.get("running", ObjectId(""))),
        staged=by_commit.get(roles.get("staged", ObjectId(""))),
        offer=offer if offer and offer.commit not in by_commit else None,
        asked=len(own),
        oldest=every[-1] if every else None,
        complete=chronicle.is_complete(every),
        local=state is not None,
        others=tuple(
            Other(name, shown[0], _first(shown)[0], channels[name].at)
            for name, shown in sorted(known.items())
            if shown and name != knowledge.name
        ),
    )


def _in_channel(found: list[Found]) -> list[Found]:
    """With what the channel offered before as the one before, as far as it is known."""
    parents = [*(item.release.commit for item in found[1:]), None]
    return [
        replace(item, release=replace(item.release, parent=parent))
        if parent is not None
        else item
        for item, parent in zip(found, parents, strict=False)
    ]


def _first(found: Sequence[Found]) -> tuple[Found | None, bool]:
    """The oldest of the newest run of releases that have it; is it surely the first?

    Args:
        found: newest first.
    """
    start = next((place for place, item in enumerate(found) if item.has), None)
    if start is None:
        return None, False
    end = start
    while end + 1 < len(found) and found[end + 1].has:
        end += 1
    known = [item.release for item in found]
    before = found[end + 1] if end + 1 < len(found) else None
    if before is None:
        return found[end], known[end].parent is None
    return found[end], before.has is False and not chronicle.gap_after(known, end)


def _about_package(
    knowledge: Knowledge, asked: Question, here: dict[ObjectId, str]
) -> Ask:
    answers: dict[ObjectId, tuple[bool | None, str | None]] = {}

    def ask(release: Known) -> Found:
        key = release.packages or release.commit
        if key not in answers:
            answers[key] = _look(asked, knowledge.packages(release))
        has, version = answers[key]
        return Found(release, has, version, here.get(release.commit, ""))

    return ask


def _look(
    asked: Question, packages: Sequence[Package] | None
) -> tuple[bool | None, str | None]:
    """Whether it is among them, and of which version."""
    if packages is None:
        return None, None
    named = question.matching(asked, packages)
    good = [package for package in named if question.satisfies(asked, package)]
    shown = (good or named)[:1]
    return bool(good), question.version_of(asked, shown[0]) if shown else None


def _about_cve(knowledge: Knowledge, asked: Question, here: dict[ObjectId, str]) -> Ask:
    """A release has a fix when it, or one before it, names the vulnerability."""
    naming = [r for r in knowledge.releases if knowledge.names(r, asked.name)]
    oldest = naming[-1] if naming else None
    version = _fixing_version(knowledge, asked, oldest)

    def ask(release: Known) -> Found:
        has = oldest is not None and release.number >= oldest.number
        return Found(
            release, has, version if has else None, here.get(release.commit, "")
        )

    return ask


def _fixing_version(
    knowledge: Knowledge, asked: Question, release: Known | None
) -> str | None:
    told = knowledge.changes(release) if release else None
    for source, found in told.sources.items() if told else ():
        for change in found:
            if asked.name in change.cves:
                return f"{source} {change.version}"
    return None
