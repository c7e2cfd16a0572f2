"""The rights of a session on a Receive connector: those of its permission groups, and those granted beside them.

One table of groups, as Exchange documents it; a session's rights are looked up here when it connects and when
it logs on. What a right allows is decided in `smtp_policy`.
"""

from __future__ import annotations

from collections.abc import Mapping

from schemas.v1.extended_rights import Right
from schemas.v1.receive_connector import AuthMechanism, PermissionGroup, ReceiveConnector

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
    granted = frozenset(connector.extended_rights.anonymous_logon)
    if AuthMechanism.EXTERNAL_AUTHORITATIVE in connector.auth_mechanism:
        return EXTERNALLY_SECURED | granted
    return _of(connector, PermissionGroup.ANONYMOUS_USERS) | granted


def rights_of_users(connector: ReceiveConnector) -> Rights:
    """What a mailbox user may do after AUTH."""
    granted = frozenset(connector.extended_rights.authenticated_users)
    return _of(connector, PermissionGroup.EXCHANGE_USERS) | granted


def _of(connector: ReceiveConnector, group: PermissionGroup) -> Rights:
    return GROUP_RIGHTS[group] if group in connector.permission_groups else NO_RIGHTS
