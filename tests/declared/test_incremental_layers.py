"""A saved file of an estate with layers and variables: what is told of it at once is what a whole reading says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from reconciler.declared.cache import MemoryCache, content_hash
from reconciler.declared.incremental import Edited, edited
from reconciler.declared.load import load
from reconciler.declared.source import DirectorySource
from reconciler.model import Desired, Resource
from tests.declared.builders import DATABASE, SERVER, document, mailbox, together, write

VARIABLES = """apiVersion: reconciler/v1
kind: Variables
metadata: {name: estate}
spec:
  limit: {type: integer, default: 24}
  greeting: {type: string, default: Hello}
"""
IMAP = document(
    "ImapSettings", "imap", "{servers: [ex01], maxConnectionsPerUser: '${limit}', banner: 'Base ${greeting}'}"
)
BASE = {
    "estate": together(SERVER, DATABASE, IMAP, document("PopSettings", "pop", "{servers: [ex01]}")),
    "mail": together(mailbox("alice"), mailbox("bob"), mailbox("gone")),
    "variables": VARIABLES,
}
OVERLAY = {
    "changes": together(
        document("ImapSettings", "imap", "{maxConnections: 500}"),
        "apiVersion: reconciler/v1\nkind: Mailbox\nmetadata: {name: gone}\n$patch: delete\n",
        document("ThrottlingPolicy", "few", "{imapMaxConcurrency: 7}"),
    ),
    "values": "apiVersion: reconciler/v1\nkind: Variables\nmetadata: {name: estate}\n"
    "spec: {limit: {value: 48}}\n",
}


class Layered:
    """An estate with the environment `test`, which was loaded before its files are saved."""

    def __init__(self, root: Path, given: Mapping[str, str]) -> None:
        self.directory = root
        self.given = given
        write(root / "base", **BASE)
        write(root / "overlays/test", **OVERLAY)
        write(root / "overlays/other", broken="not: [yaml")
        self.cache = MemoryCache()
        self.loaded = load(root, cache=self.cache, environment="test", variables=given)
        assert self.loaded.desired is not None, self.loaded.diagnostics
        self.before: dict[Path, str] = {}

    def save(self, name: str, old: str, new: str) -> Edited | None:
        """Replace text in a file, and ask what all saved files mean."""
        file = self.directory / f"{name}.yaml"
        text = file.read_text()
        assert old in text
        self.before.setdefault(file, content_hash(text.encode()))
        file.write_text(text.replace(old, new))
        return self.ask()

    def ask(self) -> Edited | None:
        source = DirectorySource(self.directory)
        return edited(self.loaded, source, before=self.before, cache=self.cache, environment="test")

    def whole(self) -> Desired | None:
        return load(self.directory, environment="test", variables=self.given).desired


@pytest.fixture(params=[{}, {"limit": "96"}], ids=["declared values", "given values"])
def layered(tmp_path: Path, request: pytest.FixtureRequest) -> Layered:
    return Layered(tmp_path, request.param)


def facts(resource: Resource) -> tuple[object, ...]:
    """All that is known of it, with where each field is written and where its value was set."""
    return (
        resource.spec,
        dict(resource.secrets),
        resource.ignore,
        dict(resource.positions),
        dict(resource.notes),
    )


def assert_equal_to_a_whole_reading(found: Edited | None, layered: Layered) -> None:
    whole = layered.whole()
    assert found is not None
    assert whole is not None
    assert {k: facts(r) for k, r in found.desired.resources.items()} == {
        k: facts(r) for k, r in whole.resources.items()
    }


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        pytest.param("base/estate", "Base ${", "Changed ${", id="a base document that is patched"),
        pytest.param(
            "base/estate", "banner: 'Base ${greeting}'", "maxCommandSize: 1024", id="a reference less"
        ),
        pytest.param(
            "base/estate", "servers: [ex01]}", "servers: [ex01], maxConnections: 7}", id="one that is not"
        ),
        pytest.param(
            "base/mail", "alice@", "alice.two@", id="a file of which the overlay deletes a document"
        ),
        pytest.param("overlays/test/changes", "500", "600", id="a patch"),
        pytest.param("overlays/test/changes", "500", "'${limit}'", id="a patch that uses a variable"),
        pytest.param("overlays/test/changes", "Concurrency: 7", "Concurrency: 8", id="an added document"),
        pytest.param("base/variables", "default: Hello}", "default: Hello} # to all", id="only a comment"),
    ],
)
def test_it_is_what_a_whole_reading_says(layered: Layered, name: str, old: str, new: str) -> None:
    assert_equal_to_a_whole_reading(layered.save(name, old, new), layered)


def test_saves_of_both_layers_add_up(layered: Layered) -> None:
    layered.save("base/estate", "Base", "Changed")
    assert_equal_to_a_whole_reading(layered.save("overlays/test/changes", "500", "600"), layered)


def test_the_next_whole_reading_takes_over_what_was_read(layered: Layered) -> None:
    layered.save("base/estate", "Base", "Changed")
    layered.loaded = load(layered.directory, cache=layered.cache, environment="test", variables=layered.given)
    layered.before.clear()
    assert_equal_to_a_whole_reading(layered.save("overlays/test/changes", "500", "600"), layered)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        pytest.param("base/variables", "default: Hello", "default: Welcome", id="a variable"),
        pytest.param("overlays/test/values", "48", "49", id="a value of the environment"),
        pytest.param("base/estate", "${limit}", "${limits}", id="an unknown variable"),
        pytest.param("base/mail", "name: alice", "name: '${greeting}'", id="another name"),
        pytest.param(
            "overlays/test/changes", "$patch: delete", "spec: {popEnabled: false}", id="deleted no more"
        ),
        pytest.param("overlays/test/changes", "500", "many", id="a wrong value"),
        pytest.param("overlays/other/broken", "not", "still not", id="another environment"),
    ],
)
def test_anything_unusual_takes_a_whole_reading(layered: Layered, name: str, old: str, new: str) -> None:
    assert layered.save(name, old, new) is None


def test_variables_of_a_plain_directory(tmp_path: Path) -> None:
    directory = write(tmp_path, estate=together(VARIABLES, SERVER, DATABASE, IMAP))
    cache = MemoryCache()
    loaded = load(directory, cache=cache, variables={"limit": "96"})
    file = directory / "estate.yaml"
    before = {file: content_hash(file.read_bytes())}
    file.write_text(file.read_text().replace("Base", "Changed"))
    found = edited(loaded, DirectorySource(directory), before=before, cache=cache)
    whole = load(directory, variables={"limit": "96"}).desired
    assert found is not None
    assert whole is not None
    assert {k: facts(r) for k, r in found.desired.resources.items()} == {
        k: facts(r) for k, r in whole.resources.items()
    }
