"""Did-you-mean hints for words that are not among the known ones. Called wherever a name is looked up."""

from __future__ import annotations

from collections.abc import Iterable


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` most likely stands for; case alone never matters."""
    from difflib import get_close_matches

    by_lower = {candidate.lower(): candidate for candidate in known}
    matches = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """ "did you mean X?", or None when nothing is close."""
    match = closest(word, known)
    return f"did you mean {match}?" if match else None
