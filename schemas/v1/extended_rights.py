"""Extended rights of a Receive connector: what Add-ADPermission grants beyond what its permission groups give.

Only those rights are known that the runtime acts on; any other name is refused, with what was probably meant. Grants to
the two principals that clients are before and after a logon can be declared; Deny entries cannot. Here is also which
right the permission groups hold, as Exchange documents it: the runtime acts on that, `reconcile explain` tells it.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field

from schemas.v1.base import Model
from schemas.v1.receive_connector_words import PermissionGroup
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


#: What whoever holds the right may do.
ALLOWS: Mapping[Right, str] = {
    Right.SUBMIT: "Send messages through the connector at all; without it a logon and MAIL FROM are refused.",
    Right.ACCEPT_ANY_SENDER: "Send from addresses outside of the authoritative accepted domains.",
    Right.ACCEPT_AUTHORITATIVE_DOMAIN_SENDER: "Send from addresses in authoritative accepted domains, "
    "so as any of your own users.",
    Right.ACCEPT_ANY_RECIPIENT: "Relay: send to addresses outside of the accepted domains.",
    Right.BYPASS_MESSAGE_SIZE_LIMIT: "Send messages larger than maxMessageSize.",
    Right.ACCEPT_HEADERS_ROUTING: "Have the routing fields of the header kept (Received, Resent-…).",
    Right.ACCEPT_HEADERS_ORGANIZATION: "Have the header fields X-MS-Exchange-Organization-… kept.",
    Right.ACCEPT_HEADERS_FOREST: "Have the header fields X-MS-Exchange-Forest-… kept.",
}

GROUP_RIGHTS: Mapping[PermissionGroup, frozenset[Right]] = {
    PermissionGroup.ANONYMOUS_USERS: frozenset(
        {
            Right.ACCEPT_HEADERS_ROUTING,
            Right.ACCEPT_ANY_SENDER,
            Right.ACCEPT_AUTHORITATIVE_DOMAIN_SENDER,
            Right.SUBMIT,
        }
    ),
    PermissionGroup.EXCHANGE_USERS: frozenset(
        {Right.ACCEPT_HEADERS_ROUTING, Right.ACCEPT_ANY_RECIPIENT, Right.SUBMIT}
    ),
    PermissionGroup.PARTNERS: frozenset({Right.ACCEPT_HEADERS_ROUTING, Right.SUBMIT}),
}

#: MS Exchange\Externally Secured Servers: whoever reaches a connector with ExternalAuthoritative.
EXTERNALLY_SECURED: frozenset[Right] = frozenset(
    {
        Right.ACCEPT_HEADERS_ROUTING,
        Right.BYPASS_MESSAGE_SIZE_LIMIT,
        Right.ACCEPT_ANY_RECIPIENT,
        Right.ACCEPT_ANY_SENDER,
        Right.ACCEPT_AUTHORITATIVE_DOMAIN_SENDER,
        Right.SUBMIT,
    }
)

#: Rights of Exchange that mean nothing here.
NOT_ACTED_ON: Final = (
    "ms-Exch-SMTP-Accept-Authentication-Flag",
    "ms-Exch-SMTP-Accept-Exch50",
    "ms-Exch-Bypass-Anti-Spam",
)
TELLS_NOT_ACTED_ON: Final = "Exchange has this right, but nothing here acts on it; leave it out"
#: Names, in small letters, for which there is more to say than which right looks alike.
_HINTS: Mapping[str, str] = {
    "ms-exch-smtp-accept-authoritative-domain": f": did you mean {Right.ACCEPT_AUTHORITATIVE_DOMAIN_SENDER}? It lets "
    "whoever holds it send as your own users; the name without -Sender is often copied and is no right of Exchange",
    **{name.casefold(): f": {TELLS_NOT_ACTED_ON}" for name in NOT_ACTED_ON},
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
