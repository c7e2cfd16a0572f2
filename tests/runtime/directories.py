"""Live resources in memory, and directories made of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from argon2 import PasswordHasher

from runtime.directory.directory import Directory, HealthMailbox
from runtime.live.resource import Changes, LiveResource
from schemas.v1.base import Spec
from schemas.v1.mailbox import Mailbox
from schemas.v1.mailbox_database import MailboxDatabase
from schemas.v1.server import PasswordHashing, Server

#: The cheapest hash that argon2 allows: tests check decisions, not the cost.
CHEAP = PasswordHashing(memory_cost=8, time_cost=1, parallelism=1)
SERVER = Server(fqdn="ex01.contoso.example", password_hashing=CHEAP)


class Resources:
    """A reader over what tests put into it; every `put` is a revision of its own."""

    def __init__(self) -> None:
        self.epoch = 0
        self._present: dict[tuple[str, str], LiveResource] = {}
        self._deleted: dict[tuple[str, str], int] = {}

    def put(
        self, kind: str, name: str, spec: Spec, credentials: Mapping[str, str] | None = None
    ) -> Resources:
        self.epoch += 1
        self._present[kind, name] = LiveResource(kind, name, self.epoch, spec, credentials=credentials or {})
        self._deleted.pop((kind, name), None)
        return self

    def mailbox(self, name: str, *, password: str | None = "secret", **fields: object) -> Resources:
        """A mailbox <name>@contoso.example on database db01."""
        spec = Mailbox.model_validate(
            {"database": "db01", "primary_smtp_address": f"{name}@contoso.example", **fields}
        )
        return self.put("Mailbox", name, spec, {"password": cheap_hash(password)} if password else {})

    def remove(self, kind: str, name: str) -> None:
        self.epoch += 1
        del self._present[kind, name]
        self._deleted[kind, name] = self.epoch

    def changes_since(self, epoch: int) -> Changes:
        return Changes(
            self.epoch,
            tuple(found for found in self._present.values() if found.revision > epoch),
            tuple(key for key, revision in self._deleted.items() if revision > epoch),
        )


@cache
def cheap_hash(password: str) -> str:
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(password)


def estate() -> Resources:
    """ex01 with db01, alice and bob."""
    resources = Resources().put("Server", "ex01", SERVER)
    resources.put("MailboxDatabase", "db01", MailboxDatabase(server="ex01"))
    return resources.mailbox("alice").mailbox("bob")


def directory(resources: Resources | None = None, health: HealthMailbox | None = None) -> Directory:
    """ex01's view."""
    return Directory(resources or estate(), "ex01", health_mailbox=health)
