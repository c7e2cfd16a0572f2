"""The files beside the YAML that declarations refer to: secrets, certificates and their keys, wherever they lie.

Nothing is read, and nobody asks here whether they are there. Called by `load` and by the daemon, which follows them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from reconciler.model import Resource
from schemas.v1.certificate import Certificate


def referred_files(resources: Iterable[Resource]) -> frozenset[Path]:
    """Of all these resources."""
    return frozenset(Path(file) for resource in resources for file in _files_of(resource) if file)


def _files_of(resource: Resource) -> Iterable[str | None]:
    yield from (ref.location for ref in resource.secrets.values() if ref.source != "env")
    if isinstance(resource.spec, Certificate):
        yield resource.spec.certificate_file
        yield resource.spec.private_key_file
