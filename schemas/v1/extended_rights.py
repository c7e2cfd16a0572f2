"""Extended rights of a Receive connector: what Add-ADPermission grants beyond what its permission groups give.

Only those rights are known that the runtime acts on; any other name is refused, with what was probably meant. Grants to
the two principals that clients are before and after a logon can be declared; Deny entries cannot.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field

from schemas.v1.base import Model
from schemas.v1.scalar import Words
from schemas.v1.types import SetOf


class Right(Words):
    """What a session may do, by Exchange's names."""

    SUBMIT = "ms-Exch-SMTP-Submit"
    ACCEPT_ANY_SENDER = "ms-Exch-SMTP-Accept-Any-Sender"
    ACCEPT_AUTHORITATIVE_DOMAIN_SENDER = "ms-Exch-SMTP-Accept-Authoritative-Domain-Sender"
    ACCEPT_ANY_RECIPIENT = "ms-Exch-SMTP-Accept-Any-Recipient"
    BYPASS_MESSAGE_SIZE_LIMIT = "ms-Exch-Bypass-Message-Size-Limit"
    ACCEPT_HEADERS_ROUTING = "ms-Exch-Accept-Headers-Routing"
    ACCEPT_HEADERS_ORGANIZATION = "ms-Exch-Accept-Headers-Organization"
    ACCEPT_HEADERS_FOREST = "ms-Exch-Accept-Headers-Forest"

    @classmethod
    def _hint(cls, value: object) -> str:
        if not isinstance(value, str):
            return ""
        name = value.strip().casefold()
        return _HINTS.get(name) or super()._hint(value) or _meant(name)


def _meant(name: str) -> str:
    from difflib import get_close_matches

    by_name = {str(right).casefold(): str(right) for right in Right}
    found = get_close_matches(name, by_name, n=1, cutoff=0.6)
    return f": did you mean {by_name[found[0]]}?" if found else ""


_NOT_ACTED_ON: Final = ": Exchange has this right, but nothing here acts on it; leave it out"
#: Names, in small letters, for which there is more to say than which right looks alike.
_HINTS: Mapping[str, str] = {
    "ms-exch-smtp-accept-authoritative-domain": f": did you mean {Right.ACCEPT_AUTHORITATIVE_DOMAIN_SENDER}? It lets "
    "whoever holds it send as your own users; the name without -Sender is often copied and is no right of Exchange",
    "ms-exch-smtp-accept-authentication-flag": _NOT_ACTED_ON,
    "ms-exch-smtp-accept-exch50": _NOT_ACTED_ON,
    "ms-exch-bypass-anti-spam": _NOT_ACTED_ON,
}


class ExtendedRights(Model):
    """Who holds which rights on the connector; what permissionGroups gives is held beside them."""

    anonymous_logon: Annotated[
        tuple[Right, ...],
        SetOf(),
        Field(
            description="Rights of clients that have not logged on (Add-ADPermission -ExtendedRights for "
            r"NT AUTHORITY\ANONYMOUS LOGON), beside those of AnonymousUsers in permissionGroups."
        ),
    ] = ()
    authenticated_users: Annotated[
        tuple[Right, ...],
        SetOf(),
        Field(
            description="Rights of users that have logged on (Add-ADPermission -ExtendedRights for "
            r"NT AUTHORITY\Authenticated Users), beside those of ExchangeUsers in permissionGroups."
        ),
    ] = ()
