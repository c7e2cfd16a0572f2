"""The rights of a session on a Receive connector: those of its permission groups, and those granted beside them.

Which group has which is in the schemas; a session's rights are looked up here when it connects and when it logs on.
What a right allows is decided in `smtp_policy`.
"""

from __future__ import annotations

from schemas.v1.extended_rights import EXTERNALLY_SECURED, GROUP_RIGHTS, Right
from schemas.v1.receive_connector import AuthMechanism, PermissionGroup, ReceiveConnector

Rights = frozenset[Right]
NO_RIGHTS: Rights = frozenset()


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
