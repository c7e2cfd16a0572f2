"""What is told of a saved file in milliseconds is what a whole reading says; anything unusual is left to one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.declared.cache import MemoryCache, content_hash
from reconciler.declared.incremental import Edited, edited
from reconciler.declared.load import load
from reconciler.declared.source import DirectorySource
from reconciler.model import Resource
from tests.support.estate import Ports, write_estate

PORTS = Ports()


class Estate:
    """A directory that was loaded, and one of its files that is saved anew."""

    def __init__(self, root: Path) -> None:
        self.directory = root / "estate"
        write_estate(self.directory, PORTS)
        self.file = self.directory / "estate.yaml"
        self.cache = MemoryCache()
        self.loaded = load(self.directory, cache=self.cache)
        self.before = {self.file: content_hash(self.file.read_bytes())}

    def save(self, change: Callable[[str], str]) -> Edited | None:
        self.file.write_text(change(self.file.read_text()))
        return edited(self.loaded, DirectorySource(self.directory), before=self.before, cache=self.cache)


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    return Estate(tmp_path)


def facts(resource: Resource) -> tuple[object, ...]:
    return resource.spec, dict(resource.secrets), resource.ignore, resource.position()


def assert_equal_to_a_whole_reading(found: Edited | None, directory: Path) -> None:
    whole = load(directory).desired
    assert whole is not None
    assert found is not None
    resources = found.desired.resources
    assert {k: facts(r) for k, r in resources.items()} == {k: facts(r) for k, r in whole.resources.items()}


@given(limit=st.integers(1, 1000), lines=st.integers(0, 3))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_value_is_what_a_whole_reading_says(tmp_path: Path, limit: int, lines: int) -> None:
    estate = Estate(tmp_path)
    found = estate.save(
        lambda text: (
            "\n" * lines + text.replace("maxConnectionsPerUser: 16", f"maxConnectionsPerUser: {limit}", 1)
        )
    )
    assert_equal_to_a_whole_reading(found, estate.directory)


def test_the_digest_is_another_one(estate: Estate) -> None:
    found = estate.save(lambda text: text.replace("PerUser: 16", "PerUser: 17"))
    assert found is not None
    assert estate.loaded.desired is not None
    assert found.desired.digest != estate.loaded.desired.digest


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text + "  unknownKey: 1\n", id="an unknown key"),
        pytest.param(lambda text: text.replace("database: db01", "database: db99"), id="a missing reference"),
        pytest.param(lambda text: text.replace("{name: alice}", "{name: carol}"), id="another name"),
        pytest.param(lambda text: text.replace("site: dublin", "site: cork"), id="another label"),
        pytest.param(lambda text: text.rsplit("---", 1)[0], id="a document less"),
        pytest.param(lambda text: text.replace("bob@contoso", "alice@contoso"), id="an address twice"),
        pytest.param(lambda text: text.replace(str(PORTS.imap), str(PORTS.pop)), id="a port twice"),
        pytest.param(lambda text: text.replace("secrets/bob", "secrets/nobody"), id="a secret that is away"),
        pytest.param(lambda text: text.replace("db01", "${database}"), id="an unknown variable"),
        pytest.param(lambda text: text.replace("kind:", "kind: ["), id="broken YAML"),
        pytest.param(lambda text: f"{text}---\napiVersion: reconciler/policy/v1\n", id="a policy"),
    ],
)
def test_anything_unusual_takes_a_whole_reading(estate: Estate, change: Callable[[str], str]) -> None:
    assert estate.save(change) is None


def test_a_file_that_is_gone_takes_a_whole_reading(estate: Estate) -> None:
    estate.file.unlink()
    source = DirectorySource(estate.directory)
    assert edited(estate.loaded, source, before=estate.before, cache=estate.cache) is None


def test_a_warning_about_another_file_is_no_reason_for_a_whole_reading(tmp_path: Path) -> None:
    estate = Estate(tmp_path)
    old = estate.directory / "old.yaml"
    head = "apiVersion: reconciler/v1alpha1\nkind: ThrottlingPolicy\nmetadata: {name: few}\n"
    old.write_text(f"{head}spec: {{imapMaxConcurrency: 7}}\n")
    estate.loaded = load(estate.directory, cache=estate.cache)
    assert {one.code for one in estate.loaded.diagnostics} == {"old-version"}
    found = estate.save(lambda text: text.replace("maxConnectionsPerUser: 16", "maxConnectionsPerUser: 17"))
    assert_equal_to_a_whole_reading(found, estate.directory)
