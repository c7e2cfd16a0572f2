"""What the files of an estate declare, as names and digests: enough to tell that there is nothing to do.

A whole reading leaves it for the next run, bound to all that it was made of: the content of every YAML file below the
directory, of the certificates and keys they name, what the run said beside the files, and the sources that read them.
When any of it is different there is none, and everything is read. Only an estate of which there is nothing to tell
leaves it; it holds no value and no secret. Needs no models, and so is quick to ask. Called by `settled`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from reconciler.declared.files import find, read_bytes
from reconciler.declared.kept import SCHEMAS, Kept, sources_digest
from reconciler.declared.layout import Inputs, locate
from reconciler.model import Allowance, Desired, Diagnostic, Key, Position, Resource, Severity
from reconciler.secret import SecretRef

VERSION = 1  # of the form of the file
_HERE = Path(__file__).parent
#: Sources that decide what files mean and when live is what is declared.
_SOURCES = (SCHEMAS, _HERE, _HERE.parent / "planning")


@dataclass(frozen=True, slots=True)
class Outlined:
    """A declared resource: the SHA-256 of its spec's canonical form, and what a plan looks at besides."""

    digest: str
    protected: bool
    secrets: Mapping[str, SecretRef]


@dataclass(frozen=True, slots=True)
class Outline:
    """Every declared resource, the digest of them all, and what a plan remarks about fields that nobody acts on."""

    configuration_digest: str
    resources: Mapping[Key, Outlined]
    remarks: tuple[Diagnostic, ...]


class OutlineFile:
    """Where the outline of one directory lies between runs, and what its files hold now. Raises OSError when they
    cannot be read."""

    def __init__(self, cache: Path, directory: Path, inputs: Inputs) -> None:
        root, environment = locate(directory, inputs.environment)
        self._files = {root / name: _hash(root / name) for name in find(root)}
        said = [str(root), environment, sorted(inputs.variables.items())]
        files = [(str(path), content) for path, content in self._files.items()]
        self._bound = hashlib.sha256(json.dumps([said, files]).encode()).hexdigest()
        about = f"{root.absolute()}\0{environment or ''}"
        self._kept = Kept(cache, "outline", about, form=f"{VERSION} {sources_digest(*_SOURCES)}")

    def find(self, *, now: datetime) -> Outline | None:
        """What a former run left, when it still holds."""
        found = self._kept.read()
        if found is None or found["bound"] != self._bound:
            return None
        if found["until"] is not None and now >= datetime.fromisoformat(found["until"]):
            return None
        if any(_witness(Path(path)) != (content, mode) for path, content, mode in found["witnesses"]):
            return None
        return Outline(
            found["digest"],
            {
                Key(kind, name): Outlined(
                    digest, protected, {path: SecretRef(*place) for path, place in secrets.items()}
                )
                for kind, name, digest, protected, secrets in found["resources"]
            },
            tuple(_diagnostic(remark) for remark in found["remarks"]),
        )

    def keep(self, desired: Desired, *, files: Mapping[Path, str], remarks: Iterable[Diagnostic]) -> None:
        """Leave the outline of what was read from `files` (path → content hash), unless they have changed since, or
        time alone may change what is planned."""
        if any(self._files.get(path) != content for path, content in files.items()):
            return
        if any(resource.lifecycle.renamed_from for resource in desired.resources.values()):
            return
        certificates, until = _certificates(desired.resources.values())
        self._kept.write(
            {
                "bound": self._bound,
                "until": until and until.isoformat(),
                "witnesses": [(str(path), *_witness(path)) for path in certificates],
                "digest": desired.digest,
                "resources": [_row(resource, desired) for resource in desired.resources.values()],
                "remarks": [_remark(remark) for remark in remarks],
            }
        )


def _hash(path: Path) -> str:
    return hashlib.sha256(read_bytes(path)).hexdigest()


def _witness(path: Path) -> tuple[str, int]:
    """What a file holds and who may read it; nothing when it is not there."""
    try:
        return _hash(path), path.stat().st_mode
    except OSError:
        return "", 0


def _certificates(resources: Iterable[Resource]) -> tuple[list[Path], datetime | None]:
    """The files that certificates come from, and when the first of these ends."""
    from reconciler.declared.certificates import not_after
    from schemas.v1.certificate import Certificate

    specs = [resource.spec for resource in resources if isinstance(resource.spec, Certificate)]
    files = {(spec.certificate_file, spec.private_key_file) for spec in specs if spec.certificate_file}
    until = min((not_after(certificate) for certificate, _ in files if certificate), default=None)
    return sorted({Path(path) for pair in files for path in pair if path}), until


def _row(resource: Resource, desired: Desired) -> list[Any]:
    from schemas.v1.canonical import digest_canonical

    key = resource.key
    digest = desired.spec_digests.get(key) or digest_canonical(resource.spec.as_live())
    secrets = {path: (place.source, place.location) for path, place in resource.secrets.items()}
    return [key.kind, key.name, digest, resource.lifecycle.protect, secrets]


def _remark(remark: Diagnostic) -> list[Any]:
    allowed = remark.allowed and [remark.allowed.rule, remark.allowed.reason, _place(remark.allowed.position)]
    where = remark.position and _place(remark.position)
    return [remark.code, remark.severity, remark.message, where, remark.hint, allowed]


def _place(position: Position) -> list[Any]:
    return [str(position.file), position.line, position.column]


def _diagnostic(kept: list[Any]) -> Diagnostic:
    code, severity, message, where, hint, allowed = kept
    return Diagnostic(
        code,
        Severity(severity),
        message,
        where and _position(where),
        hint,
        allowed and Allowance(allowed[0], allowed[1], _position(allowed[2])),
    )


def _position(kept: list[Any]) -> Position:
    file, line, column = kept
    return Position(Path(file), line, column)
