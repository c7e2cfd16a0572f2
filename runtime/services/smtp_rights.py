"""Exchange's permission groups of Receive connectors, and the rights that each gives a session.

One table, as Exchange documents it; a session's rights are looked up here when it connects and when it logs
on. What a right allows is decided in `smtp_policy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from schemas.v1.receive_connector import AuthMechanism, PermissionGroup, ReceiveConnector


class Right(Enum):
    """The extended rights that the runtime acts on, by Exchange's names."""

    SUBMIT = "ms-Exch-SMTP-Submit"
    ACCEPT_ANY_SENDER = "ms-Exch-SMTP-Accept-Any-Sender"
    ACCEPT_AUTHORITATIVE_DOMAIN_SENDER = "ms-Exch-SMTP-Accept-Authoritative-Domain-Sender"
    ACCEPT_ANY_RECIPIENT = "ms-Exch-SMTP-Accept-Any-Recipient"
    BYPASS_MESSAGE_SIZE_LIMIT = "ms-Exch-Bypass-Message-Size-Limit"
    ACCEPT_HEADERS_ROUTING = "ms-Exch-Accept-Headers-Routing"
    ACCEPT_HEADERS_ORGANIZATION = "ms-Exch-Accept-Headers-Organization"
    ACCEPT_HEADERS_FOREST = "ms-Exch-Accept-Headers-Forest"


Rights = frozenset[Right]
NO_RIGHTS: Rights = frozenset()

GROUP_RIGHTS: Mapping[PermissionGroup, Rights] = {
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
EXTERNALLY_SECURED: Rights = frozenset(
    {
        Right.ACCEPT_HEADERS_ROUTING,
        Right.BYPASS_MESSAGE_SIZE_LIMIT,
        Right.ACCEPT_ANY_RECIPIENT,
        Right.ACCEPT_ANY_SENDER,
        Right.ACCEPT_AUTHORITATIVE_DOMAIN_SENDER,
        Right.SUBMIT,
    }
)


def rights_before_logon(connector: ReceiveConnector) -> Rights:
    """What a client may do that has not authenticated."""
    if AuthMechanism.EXTERNAL_AUTHORITATIVE in connector.auth_mechanism:
        return EXTERNALLY_SECURED
    return _of(connector, PermissionGroup.ANONYMOUS_USERS)


def rights_of_users(connector: ReceiveConnector) -> Rights:
    """What a mailbox user may do after AUTH."""
    return _of(connector, PermissionGroup.EXCHANGE_USERS)


def _of(connector: ReceiveConnector, group: PermissionGroup) -> Rights:
    return GROUP_RIGHTS[group] if group in connector.permission_groups else NO_RIGHTS
