"""Small estates in files."""

from __future__ import annotations

from pathlib import Path

from reconciler.declared.load import Loaded, load
from reconciler.model import Desired, Key, Resource

SERVER = """apiVersion: reconciler/v1
kind: Server
metadata: {name: ex01, labels: {site: dublin}}
spec: {fqdn: ex01.contoso.example}
"""
DATABASE = """apiVersion: reconciler/v1
kind: MailboxDatabase
metadata: {name: db01}
spec: {server: ex01}
"""


def document(kind: str, name: str, spec: str) -> str:
    """A document; `spec` is a flow mapping or an indented block."""
    return f"apiVersion: reconciler/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def mailbox(name: str, more: str = "") -> str:
    """A mailbox in db01; `more` is appended to its spec, such as ", imapEnabled: false"."""
    return document("Mailbox", name, f"{{database: db01, primarySmtpAddress: {name}@contoso.example{more}}}")


def write(directory: Path, **files: str) -> Path:
    """Write `name.yaml` for each name; documents are separated by the caller."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / f"{name}.yaml").write_text(text, encoding="utf-8")
    return directory


def together(*documents: str) -> str:
    """Several documents in one file."""
    return "---\n".join(documents)


def loaded(directory: Path, *documents: str, cache: Path | None = None) -> Loaded:
    """What a directory with these documents in one file loads as."""
    return load(write(directory, estate=together(*documents)), cache=cache)


def desired(result: Loaded) -> Desired:
    """The desired state of a load that has no error."""
    assert result.desired is not None, result.diagnostics
    return result.desired


def only(result: Loaded, kind: str, name: str) -> Resource:
    """One resource of it."""
    return desired(result).resources[Key(kind, name)]


def codes(result: Loaded) -> list[str]:
    """The codes of its diagnostics."""
    return [diagnostic.code for diagnostic in result.diagnostics]
