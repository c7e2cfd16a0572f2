"""Small estates for planning tests: declared resources, live state, services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from reconciler.model import (
    Desired,
    Ignore,
    Key,
    LiveState,
    Observed,
    Position,
    Present,
    Resource,
    ServiceState,
)
from reconciler.secret import SecretRef
from schemas.v1.codec import parse_spec

FILE = Path("estate.yaml")
AUTOMATIC = {"startupType": "Automatic"}
RUNNING_IMAP = {"imap4": AUTOMATIC, "imap4-backend": AUTOMATIC}


def resource(
    kind: str,
    name: str,
    spec: Mapping[str, object] | None = None,
    *,
    secrets: Mapping[str, SecretRef] | None = None,
    ignore: Iterable[str] = (),
    lines: Mapping[str, int] | None = None,
) -> Resource:
    """A declared resource; `lines` says where its fields stand, "" the document (line 1)."""
    positions = {path: Position(FILE, line, 3) for path, line in {"": 1, **(lines or {})}.items()}
    return Resource(
        key=Key(kind, name),
        spec=parse_spec(kind, spec or {}),
        secrets=secrets or {},
        ignore=tuple(Ignore(path, "left to others") for path in ignore),
        positions=positions,
    )


def server(name: str = "ex01", **fields: object) -> Resource:
    """A server; its fields in YAML names."""
    return resource("Server", name, {"fqdn": f"{name}.contoso.example", **fields})


def desired(*resources: Resource) -> Desired:
    """What these resources declare."""
    return Desired({item.key: item for item in resources}, digest="0" * 64)


def live(*resources: Resource, services: Iterable[ServiceState] = (), revision: int = 7) -> LiveState:
    """A live state that is exactly these resources; each secret has the digest "old"."""
    return LiveState(
        {item.key: present(item, revision) for item in resources}, {s.service: s for s in services}
    )


def present(item: Resource, revision: int = 7) -> Observed:
    """The resource as it is once it is live."""
    return Present(item.spec, revision, secrets=dict.fromkeys(item.secrets, "old"), updated_by="alice")


def running(service: str, sessions: int = 0, **changes: object) -> ServiceState:
    """A running Automatic service."""
    fields: dict[str, object] = {"startup_type": "Automatic", "state": "running", "pending": None, **changes}
    return ServiceState(service=service, sessions=sessions, **fields)  # type: ignore[arg-type]
