"""Names that one resource only may have, on a real runtime: nobody takes another's, and a plan may pass them round."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.support.estate import Runtime, write_estate

ROUND = {"alice": "bob", "bob": "carol", "carol": "alice"}
CAROL = """\
---
apiVersion: reconciler/v1
kind: Mailbox
metadata: {name: carol}
spec:
  database: db01
  primarySmtpAddress: carol@contoso.example
"""


def declare(runtime: Runtime, addresses: Mapping[str, str]) -> None:
    """alice, bob and carol with these addresses."""
    write_estate(runtime.directory, runtime.ports)
    file = runtime.directory / "estate.yaml"
    head, *mailboxes = (file.read_text(encoding="utf-8") + CAROL).split("kind: Mailbox\n")
    for name, address in addresses.items():
        mailboxes = [
            text.replace(f"{name}@", f"{address}@") if f"name: {name}}}" in text else text
            for text in mailboxes
        ]
    file.write_text("kind: Mailbox\n".join([head, *mailboxes]), encoding="utf-8")


def addresses(runtime: Runtime) -> dict[str, str]:
    found = json.loads(runtime.reconcile("live", "get", "Mailbox", "--format", "json").stdout)
    return {one["name"]: one["spec"]["primarySmtpAddress"].partition("@")[0] for one in found}


def test_nobody_takes_anothers_address_by_hand(applied: Runtime) -> None:
    before = addresses(applied)
    ran = applied.reconcile("live", "set", "Mailbox/bob", "emailAddresses=[Alice@contoso.example]", expect=1)
    assert "Mailbox/bob emailAddresses: alice@contoso.example belongs to Mailbox/alice already" in ran.stderr
    assert addresses(applied) == before


def test_addresses_go_round_and_back(applied: Runtime) -> None:
    names = {name: name for name in ROUND}
    declare(applied, names)
    applied.reconcile("apply", str(applied.directory), "--yes")
    history = json.loads(applied.reconcile("history", "--format", "json").stdout)
    declare(applied, ROUND)
    applied.reconcile("apply", str(applied.directory), "--yes")
    assert addresses(applied) == ROUND
    number = str(max(entry["number"] for entry in history["entries"]))
    applied.reconcile("rollback", "--to", number, "--yes")
    assert addresses(applied) == names


def test_a_former_name_that_nothing_live_has_is_told_where_it_stands(applied: Runtime) -> None:
    write_estate(applied.directory, applied.ports)
    file = applied.directory / "estate.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text + CAROL.replace("carol", "dora") + "lifecycle: {renamedFrom: nobody}\n")
    line = file.read_text(encoding="utf-8").count("\n")
    ran = applied.reconcile("plan", str(applied.directory), expect=2)
    assert f"estate.yaml:{line}:" in ran.stderr
    assert "Mailbox/dora lifecycle.renamedFrom: no Mailbox/nobody is live" in ran.stderr
