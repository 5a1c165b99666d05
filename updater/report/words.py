"""The words of `core` that whoever prints needs: safe text, sizes, counts, times."""

from updater.core.text import plural, safe, show_path, size
from updater.core.times import minute
from updater.core.times import short as duration

__all__ = ["duration", "minute", "plural", "safe", "show_path", "size"]
