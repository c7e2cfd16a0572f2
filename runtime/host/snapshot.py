"""Makes the frozen `Snapshot` of a generation from what the supervisor sent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from runtime.services.base import CertificateFiles, Listener, Snapshot
from schemas.v1.base import Spec
from schemas.v1.codec import parse_spec
from schemas.v1.imap_settings import ImapSettings
from schemas.v1.pop_settings import PopSettings
from schemas.v1.receive_connector import ReceiveConnector
from schemas.v1.server import Server

S = TypeVar("S", bound=Spec)
Endpoints = Mapping[str, tuple[str, int]]


def snapshot_of(message: Mapping[str, Any], *, server: str, endpoints: Endpoints) -> Snapshot:
    """The snapshot that a "start" message describes. `endpoints` is a live view: where another server's
    transport listens is no setting, and must be found after that transport was restarted too."""
    specs = {(one["kind"], one["name"]): parse_spec(one["kind"], one["spec"]) for one in message["resources"]}
    return Snapshot(
        epoch=message["epoch"],
        server=server,
        spec=_required(specs.get(("Server", server)), Server),
        imap=_optional(specs.get(("ImapSettings", server)), ImapSettings) or ImapSettings(),
        pop=_optional(specs.get(("PopSettings", server)), PopSettings) or PopSettings(),
        connectors=_connectors(specs),
        certificates=tuple(_certificate(one) for one in message["certificates"]),
        transport_endpoints=endpoints,
    )


def listeners_of(message: Mapping[str, Any]) -> tuple[Listener, ...]:
    """The listeners that were bound, in the order of the sockets that came with the message."""
    found = (Listener(message["service"], **one) for one in message["listeners"])
    by_address = {_address(listener): listener for listener in found}
    return tuple(by_address[address] for address in message["bound"])


def _address(listener: Listener) -> str:
    return (
        f"[{listener.host}]:{listener.port}" if ":" in listener.host else f"{listener.host}:{listener.port}"
    )


def _connectors(specs: Mapping[tuple[str, str], Spec]) -> dict[str, ReceiveConnector]:
    found = {
        name.partition("/")[2]: spec for (kind, name), spec in specs.items() if kind == "ReceiveConnector"
    }
    return {name: spec for name, spec in found.items() if isinstance(spec, ReceiveConnector)}


def _certificate(message: Mapping[str, Any]) -> CertificateFiles:
    return CertificateFiles(
        name=message["name"],
        certificate_file=Path(message["certificateFile"]),
        private_key_file=Path(message["privateKeyFile"]),
        services=frozenset(message["services"]),
        subject_alternative_names=tuple(message["subjectAlternativeNames"]),
    )


def _optional(spec: Spec | None, spec_type: type[S]) -> S | None:
    return spec if isinstance(spec, spec_type) else None


def _required(spec: Spec | None, spec_type: type[S]) -> S:
    if not isinstance(spec, spec_type):
        raise TypeError(f"a snapshot needs a {spec_type.__name__}")
    return spec
