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
from reconciler.declared.kept import SCHEMAS, Kept, place_of, sources_digest
from reconciler.declared.layout import POLICIES, Inputs, layout, locate
from reconciler.declared.source import DirectorySource
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
    """Every declared resource, the digest of them all, what a plan remarks about the files; which of the
    environments it is."""

    configuration_digest: str
    resources: Mapping[Key, Outlined]
    remarks: tuple[Diagnostic, ...]
    environment: str | None = None


class OutlineFile:
    """Where the outline of one directory lies between runs, and what its files hold now. Raises OSError when they
    cannot be read."""

    def __init__(self, cache: Path, directory: Path, inputs: Inputs) -> None:
        root, environment = locate(directory, inputs.environment)
        self._environment = environment
        self._source = DirectorySource(root)
        self._files = {root / name: _hash(root / name) for name in find(root)}
        self._read = _files_read(self._source, environment)
        said = [
            str(root),
            environment,
            sorted(inputs.variables.items()),
            self._read and sorted(map(str, self._read)),
        ]
        files = [(str(path), content) for path, content in self._files.items()]
        self._bound = hashlib.sha256(json.dumps([said, files]).encode()).hexdigest()
        about = "\0".join([str(root), str(root.absolute()), environment or ""])
        self._kept = Kept(place_of(cache, "outline", about), form=f"{VERSION} {sources_digest(*_SOURCES)}")

    def find(self, *, now: datetime) -> Outline | None:
        """What a former run left, when it still holds."""
        found = None if self._read is None else self._kept.read()
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
            self._environment,
        )

    def keep(self, desired: Desired, *, files: Mapping[Path, str], remarks: Iterable[Diagnostic]) -> None:
        """Leave the outline of what was read from `files` (path → content hash), unless these are not the files that
        are there, or time alone may change what is planned."""
        if self._read is None or files != {path: self._files.get(path) for path in self._read}:
            return
        if any(resource.lifecycle.renamed_from for resource in desired.resources.values()):
            return
        certificates = _Certificates(desired.resources.values())
        witnesses = certificates.witnesses()
        if not certificates.are_still(self._source) or certificates.witnesses() != witnesses:
            return
        until = certificates.end()
        self._kept.write(
            {
                "bound": self._bound,
                "until": until and until.isoformat(),
                "witnesses": witnesses,
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


def _files_read(source: DirectorySource, environment: str | None) -> frozenset[Path] | None:
    """The files that a whole reading takes; None when it takes none, or when the estate has policies of its own, which
    are asked at every plan."""
    has_policies = POLICIES in source.directories(source.root) and source.yaml_files(source.root / POLICIES)
    chosen = layout(source, environment)
    if has_policies or isinstance(chosen, Diagnostic) or chosen.problems:
        return None
    return frozenset([*chosen.files, *(chosen.patches or ())])


class _Certificates:
    """The declared certificates that come from files. Needs the models."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        from schemas.v1.certificate import Certificate

        self._resources = {
            resource.key: resource
            for resource in resources
            if isinstance(resource.spec, Certificate) and resource.spec.certificate_file
        }
        specs = [
            resource.spec for resource in self._resources.values() if isinstance(resource.spec, Certificate)
        ]
        self._files = {str(spec.certificate_file) for spec in specs}
        self._keys = {str(spec.private_key_file) for spec in specs}

    def witnesses(self) -> list[tuple[str, str, int]]:
        """Every file, what it holds and who may read it."""
        return [(path, *_witness(Path(path))) for path in sorted(self._files | self._keys)]

    def are_still(self, source: DirectorySource) -> bool:
        """True when the files mean what they meant when they were read for the plan."""
        from reconciler.declared.certificates import resolve_certificates

        found, problems = resolve_certificates(self._resources, source)
        return not problems and found == self._resources

    def end(self) -> datetime | None:
        """When the first of them ends."""
        from reconciler.declared.certificates import not_after

        return min(map(not_after, self._files), default=None)


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
