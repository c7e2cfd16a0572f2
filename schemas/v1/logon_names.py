"""Every name that a mailbox answers to, as a logon folds it. Pure; who checks that each opens one mailbox only asks
here."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.v1.mailbox import Mailbox


def logon_names(name: str, mailbox: Mailbox) -> Iterator[tuple[str, str]]:
    """The field that says so, and the name; `name` is the mailbox's metadata.name."""
    yield "metadata.name", name.casefold()
    if mailbox.alias is not None:
        yield "alias", mailbox.alias.casefold()
    yield "primarySmtpAddress", mailbox.primary_smtp_address.casefold()
    if mailbox.user_principal_name is not None:
        yield "userPrincipalName", mailbox.user_principal_name.casefold()
    for address in mailbox.email_addresses:
        if ":" not in address:
            yield "emailAddresses", address.casefold()
