"""What a document allows of itself: warnings and guardrail findings that somebody has looked at, each with the reason.

    metadata:
      annotations:
        reconciler/allow: |
          no-certificate: the load balancer in front of it terminates TLS
          many-recipients: newsletters go through here

The annotation is no part of what is live. Only warnings are let through, and are still told, with the reason; an error
ends by being corrected, or by a waiver with a last day. Called by `check`, `resolve`, `validate` and the guardrails.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from reconciler.declared.positions import Document, index
from reconciler.declared.suggest import closest, did_you_mean
from reconciler.declared.syntax import error
from reconciler.model import Allowance, Desired, Diagnostic, Position, Severity

_OURS = "reconciler/"
ALLOW = f"{_OURS}allow"
_FORM = (
    "write the rule and why it does not hold here, such as no-certificate: the load balancer terminates TLS"
)
_LISTS = "`reconcile policy list` names guardrails, docs/language.md the other rules"
_WAIVER = "correct what it points at; a guardrail is let through by a Waiver with a last day, in the directory policies"


def allowances(document: Document, file: Path) -> tuple[Allowance, ...]:
    """Those of a document whose metadata is good; one without a reason has an empty one."""
    match document.value:
        case {"metadata": {"annotations": {"reconciler/allow": str(text)}}}:
            place = _places(document, file, is_block=text.endswith("\n"))
            lines = ((number, line.partition(":")) for number, line in enumerate(text.splitlines()))
            return tuple(
                Allowance(rule.strip(), reason.strip(), place(number))
                for number, (rule, _, reason) in lines
                if rule.strip() or reason.strip()
            )
        case _:
            return ()


def _places(document: Document, file: Path, *, is_block: bool) -> _Places:
    mark = index(document)["metadata", "annotations", ALLOW]
    key, value = (document.position(mark, file, at_key=at_key) for at_key in (True, False))
    return _Places(key, value, is_block=is_block)


class _Places:
    """Where each line of the annotation stands. Those of a block begin below its key, indented by two as
    `reconcile fmt` leaves them; of a text in quotes only its start is known."""

    def __init__(self, key: Position, value: Position, *, is_block: bool) -> None:
        self._key = key
        self._value = value
        self._is_block = is_block

    def __call__(self, number: int) -> Position:
        if not self._is_block:
            return self._value
        return Position(self._value.file, self._value.line + 1 + number, self._key.column + 2)


def unknown_annotations(document: Document, file: Path) -> Iterator[Diagnostic]:
    """A warning for each annotation that is named as ours are and is none of them."""
    match document.value:
        case {"metadata": {"annotations": dict(found)}}:
            strange = [key for key in found if isinstance(key, str) and _is_strange(key)]
        case _:
            return
    marks = index(document) if strange else {}
    for key in strange:
        position = document.position(marks["metadata", "annotations", key], file, at_key=True)
        message = f'there is no annotation "{key}"'
        is_misspelt = closest(key.removeprefix(_OURS), [ALLOW.removeprefix(_OURS)]) is not None
        hint = f"did you mean {ALLOW}?" if is_misspelt else f"name your own without {_OURS}; known is {ALLOW}"
        yield Diagnostic("unknown-annotation", Severity.WARNING, message, position, hint)


def _is_strange(key: str) -> bool:
    return key.startswith(_OURS) and key != ALLOW


def unreasoned(found: Iterable[Allowance]) -> Iterator[Diagnostic]:
    """An error for each that does not say why."""
    for one in found:
        if not (one.rule and one.reason):
            message = f"{ALLOW}: say why {one.rule or 'a rule'} does not hold here"
            yield error("allow", message, one.position, _FORM)


def of_estate(desired: Desired) -> tuple[Allowance, ...]:
    """Every allowance once, however many resources its document is."""
    return tuple(dict.fromkeys(one for resource in desired.resources.values() for one in resource.allowed))


def unallowable(found: Iterable[Allowance], errors: Collection[str]) -> Iterator[Diagnostic]:
    """An error for each that is about a rule whose findings are errors."""
    for one in found:
        if one.rule in errors:
            message = f"{ALLOW}: {one.rule} is an error, and an annotation lets only warnings through"
            yield error("allow", message, one.position, _WAIVER)


def unknown(found: Iterable[Allowance], known: Collection[str]) -> Iterator[Diagnostic]:
    """For each that names no rule: an error when another was meant, else a warning, because other runs may be given
    more policies than this one."""
    for one in found:
        if one.rule not in known:
            guess = did_you_mean(one.rule, known)
            severity = Severity.ERROR if guess else Severity.WARNING
            message = f'{ALLOW}: there is no rule "{one.rule}"{"" if severity is Severity.ERROR else " here"}'
            yield Diagnostic("allow", severity, message, one.position, guess or _LISTS)


def unused(
    found: Iterable[Allowance], rules: Collection[str], used: Collection[Allowance]
) -> Iterator[Diagnostic]:
    """A warning for each that lets nothing through, of the rules that were looked at."""
    for one in found:
        if one.rule in rules and one not in used:
            message = f"{ALLOW}: {one.rule} finds nothing here, so nothing is allowed"
            yield Diagnostic("allow-unused", Severity.WARNING, message, one.position, "remove the line")
