"""Text for a comment that other people's systems render: nothing from a file or a name acts as markup.

Everything that is not ours stands in a code span, where GitHub, GitLab and Gitea know neither markup nor HTML, neither
mentions, references nor links. The fence is longer than any run of backticks inside; control characters are escapes.
"""

from __future__ import annotations

import re

from reconciler.rendering.text import printable

_BACKTICKS = re.compile(r"`+")
_MARKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")


def code(text: str) -> str:
    """A code span that shows exactly this text, on one line."""
    shown = printable(text) or " "
    fence = "`" * (max((len(run) for run in _BACKTICKS.findall(shown)), default=0) + 1)
    needs_space = shown[0] in "` " or shown[-1] in "` "
    return f"{fence} {shown} {fence}" if needs_space else f"{fence}{shown}{fence}"


def marker(name: str) -> str:
    """The hidden line by which a bot finds its comment again. Raises ValueError for a name that could end it early."""
    if not _MARKER.fullmatch(name) or "--" in name:
        raise ValueError(
            f"a marker is made of letters, digits, dots, slashes and single hyphens, not {name!r}"
        )
    return f"<!-- reconcile review: {name} -->"


def marker_name(directory: str) -> str:
    """A marker's name for an estate: its directory, spelled so that it is one."""
    plain = re.sub(r"[^A-Za-z0-9._/]+", "-", directory).strip("-./")
    return plain[:100] or "estate"


def size(text: str) -> int:
    """What counts against a host's limit of characters: bytes of UTF-8, which are never fewer."""
    return len(text.encode("utf-8", errors="replace"))
