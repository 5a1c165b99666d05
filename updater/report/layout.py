"""Lines of text that fit a terminal. What comes in is safe already."""

from updater.core.text import size

LABEL = 11  # columns of PACKAGES, CONFIG and so on


def signed(count: int) -> str:
    """`+2.1 MB`, `-12 B`; `+0 B` when nothing changes."""
    return f"{'-' if count < 0 else '+'}{size(abs(count))}"


def labelled(label: str, words: str, width: int) -> list[str]:
    """A heading: the label, and words that go on below themselves."""
    lines = wrap(words, " " * LABEL, width)
    return [f"{label:<{LABEL}}{lines[0].strip()}", *lines[1:]]


def wrap(words: str, indent: str, width: int) -> list[str]:
    """Lines of at most `width` columns; a longer word is cut."""
    room = width - len(indent)
    lines: list[str] = []
    for word in (clip(word, room) for word in words.split()):
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(f"{indent}{word}")
    return lines or [indent]


def clip(text: str, room: int) -> str:
    """The start and the end of a text that is too long."""
    if len(text) <= room:
        return text
    end = room // 2
    return f"{text[: room - end - 3]}...{text[len(text) - end :]}"


def flush(left: str, right: str, width: int) -> str:
    """`right` at the right edge."""
    return f"{left}{right.rjust(width - len(left))}" if right else left
