"""The journal of one apply: what will be done, what was done, each record written before the next step.

One file an apply, one JSON object a line; a record about writes names all of a batch. `JournalState` is the fold of the
records: `apply` acts on it while it writes them, `recovery` on what a killed apply left; so both run the same steps. It
never holds a spec or a secret, only keys and revisions: a change is taken back by revision, and what is owed to
services is known by their names.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.expected import ExpectedError
from reconciler.model import Action, Key, ServiceAction
from reconciler.state import append_private

if TYPE_CHECKING:
    from pydantic import JsonValue

FORMAT = "reconciler/journal/v1"
#: Finished journals that are kept for reading; older ones are removed (history.jsonl stays).
KEPT_JOURNALS = 100
#: Records that recovery does not need, since it looks at every planned resource that has none.
KNOWN_FROM_LIVE = frozenset({"write started", "written"})
#: Bytes in which a last record lies, by far: one that ends an apply holds nothing but its name and the time.
TAIL = 1 << 16
#: What was not taken back is named in a sentence, up to so many.
_NAMED = 5


class JournalError(ExpectedError):
    """A journal cannot be read; the text says which, and what to do."""


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One change as the journal knows it; `previous` is the live revision before it (None: absent), of the resource
    that was called `renamed_from` if that is given. Those with the same `tie` go into one request, there and back."""

    key: Key
    action: Action
    previous: int | None
    renamed_from: str | None = None
    tie: int | None = None

    @property
    def live_key(self) -> Key:
        """What the resource is called while the change has not been made."""
        return Key(self.key.kind, self.renamed_from or self.key.name)


@dataclass(frozen=True, slots=True)
class OwedAction:
    """One service that must be brought onto its live configuration before the apply is over."""

    service: str
    action: ServiceAction

    @property
    def server(self) -> str:
        """The server that it is on."""
        return self.service.partition("/")[0]


@dataclass(frozen=True, slots=True)
class JournalState:
    """What the records say so far.

    A write that is in `started` but not in `written` has an unknown outcome; a deleted resource is written at revision
    None. `rolling_back` is the reason, once the apply is being taken back; `blames_configuration`: the reason is what
    was declared, so that the same would fail again; `refused`: the resources and services that the target did not bring
    back when it was asked to before. `commit` and `origin` say what asked for this apply, for the history.
    """

    apply_id: str = ""
    actor: str = ""
    commit: str | None = None
    plan_digest: str = ""
    configuration_digest: str = ""
    origin: Mapping[str, JsonValue] = field(default_factory=dict)
    changes: tuple[PlannedChange, ...] = ()
    owed: tuple[OwedAction, ...] = ()
    started: frozenset[Key] = frozenset()
    written: Mapping[Key, int | None] = field(default_factory=dict)
    served: frozenset[str] = frozenset()
    rolling_back: str | None = None
    blames_configuration: bool = False
    restored: frozenset[Key] = frozenset()
    refused: frozenset[str] = frozenset()

    @property
    def is_fully_written(self) -> bool:
        """True when every planned change is live."""
        return all(change.key in self.written for change in self.changes)

    @property
    def unsettled(self) -> str:
        """What there is to settle while it is not finished, as the beginning of a sentence."""
        if not self.refused:
            return f"Apply {self.apply_id} was interrupted"
        names = sorted(self.refused)
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        return f"Apply {self.apply_id} was taken back but for {', '.join(names[:_NAMED])}{more}"


class Journal:
    """An open journal. `state` always is the fold of what is on disk."""

    def __init__(self, path: Path, state: JournalState) -> None:
        self.path = path
        self.state = state
        self._lock = threading.Lock()

    @classmethod
    def begin(cls, directory: Path, planned: JournalState) -> Journal:
        """Write down what will be done, before anything is."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        journal = cls(directory / f"{planned.apply_id}.jsonl", JournalState())
        journal.record(
            "planned",
            format=FORMAT,
            applyId=planned.apply_id,
            actor=planned.actor,
            commit=planned.commit,
            planDigest=planned.plan_digest,
            configuration=planned.configuration_digest,
            origin=dict(planned.origin),
            changes=[_change_json(change) for change in planned.changes],
            owed=[{"service": owing.service, "action": owing.action.value} for owing in planned.owed],
        )
        _sync_directory(directory)
        return journal

    @classmethod
    def load(cls, path: Path) -> Journal:
        """Read a journal back. A torn last line is what a kill leaves: it is cut off. Raises JournalError."""
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(path, len(whole))
        state = JournalState()
        for number, line in enumerate(whole.splitlines(), start=1):
            state = _folded(state, line, where=f"{path}:{number}")
        if whole and not state.apply_id:
            raise JournalError(_unreadable(f"{path}:1", "it does not say what was planned"))
        return cls(path, state)

    def record(self, record: str, **fields: JsonValue) -> None:
        """Append one record and return when it is with the kernel, so that a kill loses none, and on disk.

        The records of writes are synced with the next other one: should the machine itself fail before, the live
        resource tells by its apply id that it was written. May be called from several threads. Raises JournalError when
        there is no room for it; then nothing of it is there.
        """
        entry: dict[str, Any] = {"record": record, "time": datetime.now(UTC).isoformat(), **fields}
        line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
        with self._lock:
            try:
                _append(self.path, line, sync=record not in KNOWN_FROM_LIVE)
            except OSError as error:
                raise JournalError(
                    f"{self.path} cannot be written ({error.strerror}), so the apply goes no further; "
                    "when that is mended, the next `reconcile apply` finishes it or takes it back"
                ) from error
            self.state = fold(self.state, entry)


def unfinished(directory: Path) -> tuple[Journal, ...]:
    """Journals of applies that neither committed nor rolled back, oldest first. Raises JournalError."""
    if not directory.is_dir():
        return ()
    loaded = [Journal.load(path) for path in sorted(directory.glob("*.jsonl")) if not _is_finished(path)]
    return tuple(journal for journal in loaded if journal.state.apply_id)


def prune(directory: Path) -> None:
    """Remove the oldest finished journals beyond KEPT_JOURNALS. The caller holds the apply lock."""
    paths = sorted(directory.glob("*.jsonl"))
    for path in paths[: max(0, len(paths) - KEPT_JOURNALS)]:
        if _is_finished(path):
            path.unlink()


def _is_finished(path: Path) -> bool:
    """Tells by the last record alone: journals of big applies are long."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL))
        last = file.read().rpartition(b"\n")[0].rpartition(b"\n")[2]
    return last.startswith((b'{"record": "committed"', b'{"record": "rolled back"'))


def fold(state: JournalState, entry: Mapping[str, Any]) -> JournalState:
    """The state after one more record. Raises KeyError for a record that this version does not know."""
    return _FOLDS[entry["record"]](state, entry)


def _folded(state: JournalState, line: bytes, *, where: str) -> JournalState:
    try:
        return fold(state, json.loads(line))
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError(_unreadable(where, repr(error))) from error


def _unreadable(where: str, why: str) -> str:
    return (
        f"{where} is not a record of an apply that this version can read ({why}), and that apply was left unfinished: "
        "what it had begun is not settled, and nothing is applied until it is. Let the version that wrote it settle it "
        "with `reconcile apply`; or see with `reconcile plan` what is live, move this file away, and apply again"
    )


def _planned(_: JournalState, entry: Mapping[str, Any]) -> JournalState:
    if entry["format"] != FORMAT:
        raise ValueError(f"its format is {entry['format']}, not {FORMAT}")
    return JournalState(
        apply_id=entry["applyId"],
        actor=entry["actor"],
        commit=entry.get("commit"),
        plan_digest=entry["planDigest"],
        configuration_digest=entry.get("configuration", ""),
        origin=entry.get("origin", {}),
        changes=tuple(
            PlannedChange(
                key=_key(item),
                action=Action(item["action"]),
                previous=item["previous"],
                renamed_from=item.get("renamedFrom"),
                tie=item.get("tie"),
            )
            for item in entry["changes"]
        ),
        owed=tuple(OwedAction(item["service"], ServiceAction(item["action"])) for item in entry["owed"]),
    )


def _write_started(state: JournalState, entry: Mapping[str, Any]) -> JournalState:
    return replace(state, started=state.started.union(_key(item) for item in entry["changes"]))


def _written(state: JournalState, entry: Mapping[str, Any]) -> JournalState:
    new = {_key(item): item["revision"] for item in entry["changes"]}
    return replace(state, written={**state.written, **new})


def _passed(state: JournalState, _: Mapping[str, Any]) -> JournalState:
    """Tells readers how far the apply came; whoever goes on with it does the same without."""
    return state


def _service_done(state: JournalState, entry: Mapping[str, Any]) -> JournalState:
    return replace(state, served=state.served | {entry["service"]})


def _rolling_back(state: JournalState, entry: Mapping[str, Any]) -> JournalState:
    return replace(
        state, rolling_back=entry["reason"], blames_configuration=entry.get("blamesConfiguration", False)
    )


def _restored(state: JournalState, entry: Mapping[str, Any]) -> JournalState:
    return replace(state, restored=state.restored.union(_key(item) for item in entry["changes"]))


def _refused(state: JournalState, entry: Mapping[str, Any]) -> JournalState:
    return replace(state, refused=state.refused.union(entry["subjects"]))


_FOLDS: Mapping[str, Callable[[JournalState, Mapping[str, Any]], JournalState]] = {
    "planned": _planned,
    "write started": _write_started,
    "written": _written,
    "service started": _passed,
    "service done": _service_done,
    "verified": _passed,
    "rolling back": _rolling_back,
    "restored": _restored,
    "refused": _refused,
    "committed": _passed,
    "rolled back": _passed,
}


def key_json(key: Key) -> dict[str, JsonValue]:
    """How a record names a resource."""
    return {"kind": key.kind, "name": key.name}


def keys_json(changes: Iterable[PlannedChange]) -> list[JsonValue]:
    """How a record names many."""
    return [key_json(change.key) for change in changes]


def _change_json(change: PlannedChange) -> JsonValue:
    more: dict[str, JsonValue] = {"renamedFrom": change.renamed_from} if change.renamed_from else {}
    if change.tie is not None:
        more["tie"] = change.tie
    return {**key_json(change.key), "action": change.action.value, "previous": change.previous, **more}


def _key(entry: Mapping[str, Any]) -> Key:
    return Key(entry["kind"], entry["name"])


def _append(path: Path, line: bytes, *, sync: bool) -> None:
    """The whole line or nothing: what comes after half a line could not be read. Raises OSError."""
    with append_private(path) as file:
        size = file.seek(0, os.SEEK_END)
        try:
            _write(file.fileno(), line)
            if sync:
                os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), size)
            raise


def _write(descriptor: int, line: bytes) -> None:
    """Past the file's buffer, which would try once more when it is closed."""
    if os.write(descriptor, line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _sync_directory(directory: Path) -> None:
    """A new file is only safe once its name is (fsync(2))."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
