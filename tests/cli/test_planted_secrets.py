"""No password and no private key shows up anywhere but where it is kept: not in what commands say, not in any file of
the state.

The live store holds argon2id hashes, the certificate store keys, the estate the files of both; everything else is
searched byte by byte, for the text itself and for what JSON, base64 and hexadecimal make of it.
"""

from __future__ import annotations

import base64
import imaplib
import json
import os
import poplib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from reconciler.age import IDENTITY_KEY, KeyPair, generate
from tests.declared.pem import certificate_pem, key_pem
from tests.support.daemon import daemons
from tests.support.estate import Runtime

PLANTED = {
    "file": "pl4nted-in-a-file-é",
    "env": 'pl4nted-"in"-the\\environment',
    "encrypted": "pl4nted and encrypted: 007",
}
CHANGED = {name: f"{text}-then-changed" for name, text in PLANTED.items()}
#: The number that is the private key of a certificate, with the first passwords and with those they are changed to.
KEYS = [b"pl4nted as a private key: number", b"changed as a private key: number"]
_CERTIFICATE = """\
---
apiVersion: reconciler/v1
kind: Certificate
metadata: {name: planted}
spec: {servers: [ex01], services: [SMTP], certificateFile: mail.crt, privateKeyFile: secrets/mail.key}
"""
_MAILBOX = """\
---
apiVersion: reconciler/v1
kind: Mailbox
metadata: {{name: p-{name}}}
spec:
  database: db01
  primarySmtpAddress: p-{name}@contoso.example
  password: {{secretRef: {reference}}}
"""
_REFERENCES = {
    "file": "{file: secrets/planted}",
    "env": "{env: PLANTED}",
    "encrypted": "{encrypted: secrets/planted.age}",
}
COMMANDS = [
    ("validate", "ESTATE"),
    ("validate", "ESTATE", "--format", "json"),
    *[
        ("plan", "ESTATE", "--format", output)
        for output in ("text", "json", "markdown", "html", "junit", "sarif", "github")
    ],
    ("policy", "check", "ESTATE"),
    ("drift", "ESTATE", "--format", "json"),
    ("plan", "ESTATE", "--out", "SAVED"),
    ("plan", "show", "SAVED", "--format", "json"),
    ("APPLY",),
    ("plan", "ESTATE"),
    ("history", "--format", "json"),
    ("history", "show", "2", "--format", "json"),
    ("status", "--format", "json"),
    ("live", "get", "Mailbox/p-encrypted"),
    ("live", "get", "Certificate/ex01/planted"),
    ("secret", "list", "ESTATE"),
    ("secret", "rotate", "ESTATE"),
    ("fmt", "ESTATE"),
    ("drift", "ESTATE"),
]


#: What stands for APPLY with the first passwords, and with those that they are changed to.
APPLIES = [("apply", "ESTATE", "--yes", "--format", "ndjson"), ("apply", "SAVED")]


@pytest.fixture(scope="module")
def key() -> KeyPair:
    return generate()


def reconcile(runtime: Runtime, key: KeyPair, passwords: dict[str, str], *arguments: str) -> bytes:
    """Everything that one command says."""
    environment = {
        "RECONCILE_STATE": str(runtime.state),
        IDENTITY_KEY: key.private,
        "PLANTED": passwords["env"],
    }
    done = subprocess.run(
        [sys.executable, "-m", "reconciler.cli.main", *_placed(runtime, arguments)],
        capture_output=True,
        timeout=120,
        check=False,
        input=passwords["encrypted"].encode(),
        env=os.environ | environment,
    )
    assert done.returncode in (0, 2), done.stderr.decode()
    return done.stdout + done.stderr


def _placed(runtime: Runtime, arguments: tuple[str, ...]) -> list[str]:
    places = {"ESTATE": str(runtime.directory), "SAVED": str(saved_plan(runtime))}
    return [places.get(argument, argument) for argument in arguments]


def saved_plan(runtime: Runtime) -> Path:
    return runtime.directory.parent / "saved.plan"


def watched(runtime: Runtime, key: KeyPair, passwords: dict[str, str]) -> bytes:
    """What a daemon says of the change that is not applied yet."""
    place = runtime.directory.parent / "daemon"
    place.mkdir(exist_ok=True)
    with daemons(runtime, place) as start:
        daemon = start(**{IDENTITY_KEY: key.private, "PLANTED": passwords["env"]})
        assert daemon.said("plan")["changes"]
        assert daemon.end() == 0
        return daemon.output.read_bytes()


def log_on(runtime: Runtime, password: str) -> None:
    """In each way that a protocol log might tell of."""
    user = "p-encrypted@contoso.example"
    with imaplib.IMAP4_SSL("localhost", runtime.ports.imaps, ssl_context=runtime.tls()) as imap:
        imap.login(user, password)
    with imaplib.IMAP4_SSL("localhost", runtime.ports.imaps, ssl_context=runtime.tls()) as imap:
        imap.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())
    pop = poplib.POP3_SSL("localhost", runtime.ports.pops, context=runtime.tls())
    pop.user(user)
    pop.pass_(password)
    pop.quit()


def plant(runtime: Runtime, key: KeyPair, passwords: dict[str, str]) -> None:
    """Put each password where its reference points."""
    secrets = runtime.directory / "secrets"
    (secrets / "planted").write_text(passwords["file"], encoding="utf-8")
    (secrets / "recipients.txt").write_text(key.public, encoding="utf-8")
    private = private_key(KEYS[passwords is CHANGED])
    (secrets / "mail.key").touch(mode=0o600)
    (secrets / "mail.key").write_bytes(key_pem(private))
    (runtime.directory / "mail.crt").write_bytes(certificate_pem(private))
    reconcile(runtime, key, passwords, "secret", "encrypt", f"{secrets}/planted.age")


def private_key(number: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(number, "big"), ec.SECP256R1())


def key_forms(number: bytes) -> Iterator[bytes]:
    """Its line in PEM, and what may have been made of it; in base64 wherever among threes of bytes it begins."""
    yield key_pem(private_key(number)).splitlines()[1]
    yield number
    yield number.hex().encode()
    for place in range(3):
        yield base64.b64encode(b"x" * place + number)[4:-4]


def forms(text: str) -> Iterator[bytes]:
    """What a careless program may have made of it."""
    yield text.encode()
    yield json.dumps(text)[1:-1].encode()
    yield base64.b64encode(text.encode()).rstrip(b"=")[:-1]
    yield text.encode().hex().encode()


def leaks(content: bytes) -> list[str]:
    passwords = (*PLANTED.values(), *CHANGED.values())
    return [text for text in passwords for form in forms(text) if form in content] + key_leaks(content)


def key_leaks(content: bytes) -> list[str]:
    return [number.decode() for number in KEYS for form in key_forms(number) if form in content]


def files_below(directory: Path) -> Iterator[Path]:
    return (path for path in directory.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def said(applied: Runtime, key: KeyPair) -> bytes:
    """Everything that every command said while the planted secrets were applied, and then changed."""
    with (applied.directory / "estate.yaml").open("a", encoding="utf-8") as estate:
        for name, reference in _REFERENCES.items():
            estate.write(_MAILBOX.format(name=name, reference=reference))
        estate.write(_CERTIFICATE)
    output = b""
    for passwords, apply in zip((PLANTED, CHANGED), APPLIES, strict=True):
        plant(applied, key, passwords)
        saved_plan(applied).unlink(missing_ok=True)
        output += watched(applied, key, passwords)
        for command in COMMANDS:
            output += reconcile(applied, key, passwords, *(apply if command == ("APPLY",) else command))
        log_on(applied, passwords["encrypted"])
    return output


def test_a_planted_secret_shows_up_nowhere(applied: Runtime, key: KeyPair, said: bytes) -> None:
    out = applied.directory.parent / "imported"
    said += reconcile(applied, key, CHANGED, "import", "--out", str(out))
    assert b"p-encrypted" in said
    assert leaks(said) == []
    stored = set((applied.state / "servers" / "ex01" / "certificates" / "stored").glob("*.key"))
    assert {leak for path in stored for leak in key_leaks(path.read_bytes())} == {
        number.decode() for number in KEYS
    }
    kept = {applied.directory / "secrets" / "planted", applied.directory / "secrets" / "mail.key", *stored}
    places = (applied.directory.parent, applied.state, out)
    searched = [path for place in places for path in files_below(place) if path not in kept]
    assert applied.state / "runtime" / "live.sqlite" in searched
    assert {applied.state / "history.jsonl", saved_plan(applied)} <= set(searched)
    assert any("Imap4" in path.parts and b"p-encrypted" in path.read_bytes() for path in searched)
    assert [path for path in searched if leaks(path.read_bytes())] == []


@pytest.mark.usefixtures("said")
def test_without_an_identity_the_plan_works_and_leaves_the_secret(applied: Runtime) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "reconciler.cli.main", "plan", str(applied.directory)],
        capture_output=True,
        timeout=120,
        check=False,
        text=True,
        env=os.environ | {"RECONCILE_STATE": str(applied.state), "PLANTED": CHANGED["env"]},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("No changes in what can be compared"), done.stdout
    assert done.stdout.endswith("\n  Mailbox/p-encrypted password\n"), done.stdout
    assert "whether it changed is unknown" in done.stderr
    assert "Mailbox/p-encrypted" in done.stderr
