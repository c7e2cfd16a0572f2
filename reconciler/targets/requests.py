"""How many writes become requests to the runtime: each as JSON, as many in one as fit, what is tied in one.

`embedded` sends them; before its first write an apply asks whether what is tied fits at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from reconciler.targets.target import Attribution, TargetError, Write, tied

#: What the runtime takes in one request: writes, and bytes.
MOST_WRITES = 1000
MOST_BYTES = 1024 * 1024
#: Bytes of one request that could be two.
BATCH_BYTES = 512 * 1024

#: A write, and how the runtime takes it.
Sent = tuple[Write, bytes]


def parts(writes: Iterable[Write], by: Attribution) -> Iterator[list[Sent]]:
    """Cut into requests, in order."""
    part: list[Sent] = []
    size = 0
    for group in tied(((write, _item(write, by)) for write in writes), lambda sent: sent[0].tie):
        more = sum(len(content) for _, content in group)
        if part and size + more > BATCH_BYTES:
            yield part
            part, size = [], 0
        part += group
        size += more
    if part:
        yield part


def body(part: Iterable[Sent]) -> bytes:
    """The body of the request."""
    return b'{"items":[' + b",".join(content for _, content in part) + b"]}"


def refuse_too_long(writes: Iterable[Write], by: Attribution) -> None:
    """Raise TargetError when what is tied does not fit into one request, so that it could never be done."""
    for group in tied(writes, lambda write: write.tie):
        if len(group) > 1 and not _fits(group, by):
            raise TargetError(
                f"names pass in a circle between {len(group):,} resources, {group[0].key} among them, and in one "
                f"request the runtime changes at most {MOST_WRITES:,} resources that are {MOST_BYTES:,} bytes "
                "together: give one of them a name that nobody has, and apply that first"
            )


def _fits(group: list[Write], by: Attribution) -> bool:
    return len(group) <= MOST_WRITES and len(body((one, _item(one, by)) for one in group)) <= MOST_BYTES


def _item(write: Write, by: Attribution) -> bytes:
    """One write as the runtime takes it."""
    from schemas.v1.codec import dump_spec

    item: dict[str, Any] = {"kind": write.key.kind, "name": write.key.name, "expect": write.expect}
    if write.renamed_from is not None:
        item |= {"op": "rename", "renamedFrom": write.renamed_from, "revision": write.revision}
    elif write.is_restore:
        item |= {"op": "restore", "revision": write.revision}
    else:
        item["op"] = "delete" if write.spec is None else "put"
    if write.spec is not None:
        item |= {"spec": dump_spec(write.spec), "protected": write.protected}
        item["secrets"] = {path: value.reveal() if value else None for path, value in write.secrets.items()}
    if by.apply_id and not write.is_restore:
        item["managedBy"] = "reconciler"
    return json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode()
