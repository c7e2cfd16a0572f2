"""A new repository: valid, in style, and every command in its files is one of ours."""

from __future__ import annotations

import json
import re
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from reconciler.age import IDENTITY_FILE, IDENTITY_KEY
from reconciler.authoring.formatting import formatted
from reconciler.authoring.recipients import recipients_for
from reconciler.authoring.replacing import create_file
from reconciler.authoring.scaffold import ScaffoldError, scaffold
from reconciler.cli.main import main, reconcile
from reconciler.declared.load import load
from reconciler.secret import resolve
from tests.declared.pem import certificate_pem, key_pem

LAYOUTS: list[tuple[str, ...]] = [(), ("development", "production")]
CI = [".pre-commit-config.yaml", ".github/workflows/review.yaml", ".gitlab-ci.yml"]
_COMMAND = re.compile(r"(?:^|[\s`-])reconcile ([^`\n|]+)")


def made(directory: Path, environments: tuple[str, ...] = ()) -> Path:
    scaffold(directory, environments)
    return directory


def test_the_heading_of_the_recipients_is_nobodys_comment(tmp_path: Path) -> None:
    assert recipients_for(made(tmp_path) / "estate" / "secrets" / "alice.age").comments == ("",)


@pytest.mark.parametrize("environments", LAYOUTS)
def test_it_is_valid_and_in_style(tmp_path: Path, environments: tuple[str, ...]) -> None:
    made(tmp_path, environments)
    for environment in environments or (None,):
        assert load(tmp_path / "estate", environment=environment).diagnostics == ()
    assert [file.path for file in formatted([tmp_path]) if file.is_changed or file.problem] == []


def test_what_production_needs_stands_in_its_overlay_as_a_comment(tmp_path: Path) -> None:
    made(tmp_path, ("staging", "production"))
    overlays = tmp_path / "estate" / "overlays"
    assert "certificateFile" not in (overlays / "staging" / "server.yaml").read_text(encoding="utf-8")
    file = overlays / "production" / "server.yaml"
    text, _, certificate = file.read_text(encoding="utf-8").partition("# ---\n")
    file.write_text(text + "---\n" + certificate.replace("# ", ""), encoding="utf-8")
    key = ec.generate_private_key(ec.SECP256R1())
    for name, content in (("mail.crt", certificate_pem(key)), ("mail.key", key_pem(key))):
        create_file(file.parent / "certificates" / name, content, mode=0o600)
    assert load(tmp_path / "estate", environment="production").diagnostics == ()
    assert [file.path for file in formatted([tmp_path]) if file.is_changed or file.problem] == []


@pytest.mark.parametrize("environments", LAYOUTS)
def test_every_yaml_file_names_a_schema_that_is_there(tmp_path: Path, environments: tuple[str, ...]) -> None:
    made(tmp_path, environments)
    files = list((tmp_path / "estate").rglob("*.yaml"))
    for file in files:
        head, _, schema = file.read_text(encoding="utf-8").partition("\n")[0].partition("$schema=")
        assert head == "# yaml-language-server: "
        assert (file.parent / schema).is_file()
    assert files


@pytest.mark.parametrize("environments", LAYOUTS)
def test_the_schema_that_a_file_names_takes_it(tmp_path: Path, environments: tuple[str, ...]) -> None:
    made(tmp_path, environments)
    for file in (tmp_path / "estate").rglob("*.yaml"):
        text = file.read_text(encoding="utf-8")
        schema = json.loads((file.parent / text.partition("\n")[0].partition("$schema=")[2]).read_text())
        assert (schema["$id"] == "urn:reconciler:v1:overlay") == ("overlays" in file.parts)
        for document in YAML(typ="safe", pure=True).load_all(text):
            Draft202012Validator(schema).validate(document)


def test_the_first_secret_opens_with_the_identity_that_comes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path)
    monkeypatch.delenv(IDENTITY_KEY, raising=False)
    monkeypatch.setenv(IDENTITY_FILE, str(tmp_path / "identity.txt"))
    found = load(tmp_path / "estate").desired
    assert found is not None
    [reference] = [ref for resource in found.resources.values() for ref in resource.secrets.values()]
    assert len(resolve(reference).reveal()) >= 20
    assert stat.S_IMODE((tmp_path / "identity.txt").stat().st_mode) == 0o600
    assert {"identity.txt", "*.plan"} <= set(
        (tmp_path / ".gitignore").read_text(encoding="utf-8").splitlines()
    )


@pytest.mark.parametrize("name", [*CI, "estate/mailboxes.yaml", "identity.txt", "README.md"])
def test_nothing_is_overwritten_and_then_nothing_is_written(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(ScaffoldError, match="nothing was written"):
        made(tmp_path)
    assert [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.is_file()] == ["mine"]


@pytest.mark.parametrize("environments", LAYOUTS)
@pytest.mark.parametrize("name", CI)
def test_the_files_for_other_programs_are_yaml(
    tmp_path: Path, name: str, environments: tuple[str, ...]
) -> None:
    found = YAML(typ="safe").load(made(tmp_path, environments) / name)
    assert isinstance(found, dict)
    assert re.search("@[A-Z]+@", (tmp_path / name).read_text(encoding="utf-8")) is None


@pytest.mark.parametrize("environments", LAYOUTS)
def test_every_command_in_it_is_one_of_ours(tmp_path: Path, environments: tuple[str, ...]) -> None:
    made(tmp_path, environments)
    texts = [(tmp_path / name).read_text(encoding="utf-8") for name in (*CI, "README.md")]
    found = [command for text in texts for command in commands(text)]
    assert {words[0] for words in found} >= {"fmt", "validate", "review"}
    for words in found:
        check_words(words)


def commands(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if line.lstrip().startswith(("#", "name:")):
            continue
        for match in _COMMAND.finditer(line):
            yield shlex.split(match[1].strip("`, "))


def check_words(words: list[str]) -> None:
    """Every verb and every option of the command line exists."""
    command: click.Command = reconcile
    context = click.Context(command)
    for word in words:
        if word.startswith("--"):
            assert word in _options(command), f"{command.name} has no option {word}"
        elif isinstance(command, click.Group) and (inner := command.get_command(context, word)) is not None:
            command = inner
    assert command is not reconcile, words


def _options(command: click.Command) -> set[Any]:
    return {option for parameter in command.params for option in parameter.opts}


def test_the_verb_makes_a_repository_with_git(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "mail")]) == 0
    assert (tmp_path / "mail" / ".git").is_dir()
    assert main(["validate", str(tmp_path / "mail" / "estate")]) == 0
    assert main(["fmt", "--check", str(tmp_path / "mail")]) == 0
    assert main(["init", str(tmp_path / "mail")]) == 1
    assert "nothing is overwritten" in capsys.readouterr().err


def test_it_says_how_the_hook_is_made_active(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path)]) == 0
    told = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert {"pip install pre-commit", "pre-commit install"} <= set(re.findall(r"`([^`]+)`", told))
    assert "pre-commit hook" in capsys.readouterr().out.splitlines()[-1]
