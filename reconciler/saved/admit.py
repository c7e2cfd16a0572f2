"""May this saved plan be carried out now? All the questions, in one place, for `apply FILE` and for `plan show`.

For this target, as it was signed, not used before, made from a live state that could be read, not stale, of nothing
that is held by now, and with the secrets and certificates that it was made with. Only asks: marking the plan as used is
the caller's first step of applying. Guardrails are asked by the caller too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.expected import ExpectedError
from reconciler.model import Hold, Key, LiveState
from reconciler.planning.held import held_keys
from reconciler.planning.moves import move_problems
from reconciler.saved.check import Remaining, Stale, compare
from reconciler.saved.document import SavedPlan, SavedPlanError, is_signed
from reconciler.saved.used import UsedPlans
from reconciler.secret import SecretError, resolve
from reconciler.targets.target import Reader
from schemas.v1.certificate import Certificate

_STALE = "this plan is stale; plan again:"


def admit(
    saved: SavedPlan, reader: Reader, used: UsedPlans, *, holds: Iterable[Hold] = ()
) -> tuple[Remaining, LiveState]:
    """What is left to do, and the live state that says so. `holds` are those in force. Raises SavedPlanError with the
    reason why not."""
    key = reader.digest_key()
    if saved.origin.instance != instance_of(reader):
        raise SavedPlanError(
            f"this plan was made for the runtime {saved.origin.instance}, and this is {instance_of(reader)}; "
            "apply it there, or plan for this one"
        )
    if not is_signed(saved, key):
        raise SavedPlanError(
            "this plan is not as it was made: its signature does not match its content; plan again"
        )
    if (told := used.told(saved.digest)) is not None:
        raise SavedPlanError(f"{told}; plan again")
    if not saved.plan.is_complete:
        names = ", ".join(str(key) for key, _ in saved.plan.unreadable)
        raise SavedPlanError(
            f"this plan is incomplete: {names} could not be read; leave it out with --exclude"
        )
    live = reader.observe({key: write.spec for key, write in saved.writes.items()})
    remaining = compare(saved, live)
    if isinstance(remaining, Stale):
        raise SavedPlanError(_STALE, *(f"  {reason}" for reason in remaining.reasons))
    _check_holds(remaining, live, holds)
    for problem in move_problems(remaining.plan, remaining.desired, live):
        raise SavedPlanError(f"{problem.message}; {problem.hint}, and plan again")
    _check_secrets(saved, remaining, key)
    _check_certificates(saved, remaining)
    return remaining, live


def instance_of(reader: Reader) -> str:
    """What a target calls itself; it keeps that for as long as it keeps its live configuration."""
    runtime: Any = reader.status()["runtime"]
    found: Mapping[str, Any] = runtime
    return str(found["instance"])


def _check_holds(remaining: Remaining, live: LiveState, holds: Iterable[Hold]) -> None:
    held = held_keys(holds, remaining.desired, live)
    for change in remaining.plan.changes:
        if (hold := held.get(change.live_key) or held.get(change.key)) is not None:
            raise SavedPlanError(
                f"{change.live_key} is held until {hold.until} by {hold.by}: {hold.reason}; "
                "release it, or plan again: what is held is left out then"
            )


def _check_secrets(saved: SavedPlan, remaining: Remaining, key: bytes) -> None:
    for change in remaining.plan.changes:
        write = saved.writes.get(change.key)
        for path, secret in write.secrets.items() if write else ():
            try:
                found = resolve(secret.reference).digest(key)
            except SecretError as error:
                raise SavedPlanError(f"{change.key} {path}: {error}") from error
            if found != secret.digest:
                raise SavedPlanError(
                    f"{change.key} {path}: the secret in {secret.reference} is not the one that was planned; plan again"
                )


def _check_certificates(saved: SavedPlan, remaining: Remaining) -> None:
    """Of those that are still to be written: what is live has its own copy."""
    for change in remaining.plan.changes:
        write = saved.writes.get(change.key)
        spec = write.spec if write else None
        if isinstance(spec, Certificate) and spec.certificate_file is not None:
            _check_certificate(change.key, spec, spec.certificate_file)


def _check_certificate(key: Key, spec: Certificate, file: str) -> None:
    from reconciler.declared.certificates import thumbprints_in

    try:
        found, *chain = thumbprints_in(file)
    except ExpectedError as error:
        raise SavedPlanError(f"{key} certificateFile: {error}; plan again") from error
    if (found, tuple(chain)) != (spec.thumbprint, spec.chain):
        raise SavedPlanError(
            _STALE,
            f"  {key}: {file} holds the certificate {found} now, with {len(chain)} "
            f"after it, and held {spec.thumbprint or 'none that could be read'}, with {len(spec.chain)}, "
            "when this was planned",
        )
