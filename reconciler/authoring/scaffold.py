"""A new repository that works: an estate of one server, editor schemas, hooks, continuous integration, one secret.

It is valid, in canonical style and applies as it stands, with the identity that is made with it. Nothing that is there
already is overwritten. Called by `reconcile init`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.age import KeyPair, encrypt, generate
from reconciler.authoring.replacing import create_file
from reconciler.authoring.templates import (
    BASE,
    GITHUB,
    GITIGNORE,
    GITLAB,
    OVERLAY,
    PRE_COMMIT,
    PRODUCTION,
    README,
    SCHEMA_HEADER,
)
from schemas.v1 import json_schema

_RECIPIENTS = "# Who can read the secrets: one public key a line, a name after it as # comment.\n\n"
ESTATE, IDENTITY = "estate", "identity.txt"
SCHEMA, OVERLAY_SCHEMA = "reconciler.schema.json", "overlay.schema.json"


class ScaffoldError(Exception):
    """The repository cannot be made; the text says what is in the way. Nothing was written."""


@dataclass(frozen=True, slots=True)
class NewFile:
    """One file of the repository, before it is written."""

    content: bytes
    mode: int = 0o644


def scaffold(directory: Path, environments: Sequence[str]) -> tuple[Path, ...]:
    """Write the repository; with `environments` its estate has a base and an overlay for each. Returns its files.

    Raises ScaffoldError, OSError.
    """
    files = new_files(environments)
    taken = [name for name in files if (directory / name).exists() or (directory / name).is_symlink()]
    if taken:
        raise ScaffoldError(
            f"{directory / taken[0]} is there already, and nothing is overwritten; nothing was written"
        )
    for name, file in files.items():
        create_file(directory / name, file.content, mode=file.mode)
    return tuple(directory / name for name in files)


def new_files(environments: Sequence[str]) -> Mapping[str, NewFile]:
    """Every file by its path in the repository."""
    pair = generate()
    base = f"{ESTATE}/base" if environments else ESTATE
    schemas = json_schema.generated().texts
    texts = {f"{base}/{name}": _with_schema(text, base, SCHEMA) for name, text in BASE.items()}
    for environment in environments:
        place = f"{ESTATE}/overlays/{environment}"
        text = OVERLAY.replace("@ENVIRONMENT@", environment)
        if environment == "production":
            text += PRODUCTION
        texts[f"{place}/server.yaml"] = _with_schema(text, place, OVERLAY_SCHEMA)
    texts |= {
        ".gitignore": GITIGNORE,
        ".pre-commit-config.yaml": _for_all(PRE_COMMIT, environments, _HOOK),
        ".github/workflows/review.yaml": _for_all(GITHUB, environments, _STEP),
        ".gitlab-ci.yml": _for_all(GITLAB, environments, _STEP_GITLAB),
        f".schemas/{SCHEMA}": schemas[SCHEMA],
        **({f".schemas/{OVERLAY_SCHEMA}": schemas[OVERLAY_SCHEMA]} if environments else {}),
        "README.md": README.replace(
            "@TARGET@", f"{ESTATE}/overlays/{environments[0]}" if environments else ESTATE
        ),
    }
    files = {name: NewFile(text.encode()) for name, text in texts.items()}
    return files | _secret_files(f"{base}/secrets", pair)


def _secret_files(place: str, pair: KeyPair) -> dict[str, NewFile]:
    identity = f"# public key: {pair.public}\n{pair.private}\n"
    return {
        f"{place}/recipients.txt": NewFile(f"{_RECIPIENTS}{pair.public}\n".encode()),
        f"{place}/alice.age": NewFile(encrypt(secrets.token_urlsafe(15), [pair.public])),
        IDENTITY: NewFile(identity.encode(), mode=0o600),
    }


def _with_schema(text: str, place: str, schema: str) -> str:
    """With the line that editors take completion and hover texts from."""
    up = "../" * (place.count("/") + 1)
    return f"{SCHEMA_HEADER}{up}.schemas/{schema}\n{text}"


_STEP = "      - run: reconcile validate estate --format github@OPTION@\n"
_STEP_GITLAB = "    - reconcile validate estate@OPTION@\n"
_HOOK = """\
      - id: reconcile-validate@SUFFIX@
        name: reconcile validate@OPTION@
        entry: reconcile validate estate@OPTION@
        language: system
        files: ^estate/
        pass_filenames: false
"""


def _for_all(text: str, environments: Sequence[str], step: str) -> str:
    """With one step that validates, or one an environment."""
    steps = [
        step.replace("@OPTION@", f" --environment {name}").replace("@SUFFIX@", f"-{name}")
        for name in environments
    ]
    return text.replace(
        "@VALIDATE@\n", "".join(steps) or step.replace("@OPTION@", "").replace("@SUFFIX@", "")
    )
