"""One digest over the meaning of everything declared: equal for equal meaning, whatever the files look like."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from reconciler.model import Key, Resource
from schemas.v1.base import Spec
from schemas.v1.canonical import digest_canonical
from schemas.v1.certificate import Certificate


def configuration_digest(resources: Mapping[Key, Resource], digests: Mapping[Key, str], *, root: Path) -> str:
    """Hex SHA-256 over all resources, their secret references and what they ignore; the order of files is no part, and
    neither is where the directory `root` lies: paths below it count from there.

    `digests` are those of the canonical forms of specs, as far as they are known."""
    total, here = sha256(), f"{root.absolute()}{os.sep}"
    for key in sorted(resources):
        resource = resources[key]
        spec = digests.get(key) or digest_canonical(_portable(resource, here))
        secrets = sorted(
            (path, reference.source, reference.location.removeprefix(here))
            for path, reference in resource.secrets.items()
        )
        ignored = sorted(ignore.path for ignore in resource.ignore)
        treated = (ignored, resource.lifecycle.protect, resource.lifecycle.renamed_from)
        total.update(repr((key.kind, key.name, spec, secrets, treated)).encode())
    return total.hexdigest()


def _portable(resource: Resource, here: str) -> Spec:
    """With the certificate files that lie below the directory named from there, and without thumbprints that nobody
    declared: they were read from a file that not every machine has."""
    spec = resource.spec
    if not isinstance(spec, Certificate) or spec.certificate_file is None:
        return spec
    files = {"certificate_file": spec.certificate_file, "private_key_file": spec.private_key_file}
    update: dict[str, object] = {name: str(file).removeprefix(here) for name, file in files.items()}
    where = resource.position("certificateFile")
    if resource.position("thumbprint") == where:
        update["thumbprint"] = None
    if resource.position("chain") == where:
        update["chain"] = ()
    return spec.model_copy(update=update)
