"""What the JSON Schemas say of more than one field, and what they leave to the models.

`CONDITIONS` are those rules between fields that JSON Schema can say, a part of the schema of each kind's spec. `RULED`
are the fields at which a model may refuse what the schema accepts, because the rule computes with values (quotas,
durations) or depends on defaults; `VALUES` are the types that hold more than a pattern can tell. Both are published as
x-checked-by-model, and a test holds schemas and models against each other: nothing else may differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Schema = dict[str, Any]

#: Text with a reference to a variable: what it becomes is not known here.
REFERENCE: Final[Mapping[str, Any]] = {"type": "string", "pattern": r"\$\{"}


def _holds(name: str, schema: Schema) -> Schema:
    return {"properties": {name: schema}, "required": [name]}


def _or_reference(*words: str) -> Schema:
    return {"anyOf": [{"enum": list(words)}, REFERENCE]}


def _never(*conditions: Schema) -> Schema:
    return {"not": {"allOf": list(conditions)}}


def _alone(name: str) -> Schema:
    """None stands alone in the list; written twice it is still alone."""
    listed = {"type": "array", "contains": {"const": "None"}}
    return {"if": _holds(name, listed), "then": {"properties": {name: {"items": _or_reference("None")}}}}


_CUSTOM_CALENDAR: Schema = {
    "if": _holds("calendarItemRetrievalOption", {"const": "Custom"}),
    "then": _holds("owaServerUrl", {"type": "string"}),
}
_FROM_FILE: Schema = {
    "required": ["certificateFile", "privateKeyFile"],
    "properties": {
        "certificateFile": {"type": "string"},
        "privateKeyFile": {"type": "string"},
        "selfSigned": {"type": "null"},
    },
}
_SELF_SIGNED: Schema = {
    "required": ["selfSigned"],
    "properties": {
        "selfSigned": {"type": "object"},
        "certificateFile": {"enum": [None, ""]},
        "privateKeyFile": {"enum": [None, ""]},
        "thumbprint": {"type": "null"},
        "chain": {"maxItems": 0},
    },
}
_BY_THUMBPRINT: Schema = {
    "required": ["thumbprint"],
    "properties": {
        "thumbprint": {"type": "string"},
        "certificateFile": {"enum": [None, ""]},
        "privateKeyFile": {"enum": [None, ""]},
        "selfSigned": {"type": "null"},
    },
}
_NEEDS_BASIC_AND_TLS: Schema = {
    "if": _holds("authMechanism", {"type": "array", "contains": {"const": "BasicAuthRequireTLS"}}),
    "then": {
        "properties": {
            "authMechanism": {
                "allOf": [{"contains": _or_reference("BasicAuth")}, {"contains": _or_reference("Tls")}],
            }
        }
    },
}
_EXTERNAL: Schema = {
    "if": _holds("authMechanism", {"type": "array", "contains": {"const": "ExternalAuthoritative"}}),
    "then": {"properties": {"authMechanism": {"items": _or_reference("ExternalAuthoritative", "Tls")}}},
}

CONDITIONS: Final[Mapping[str, tuple[Schema, ...]]] = {
    "Certificate": ({"anyOf": [_FROM_FILE, _SELF_SIGNED, _BY_THUMBPRINT]},),
    "AcceptedDomain": (
        _never(
            _holds("makeDefault", {"const": True}),
            _holds("domainName", {"type": "string", "pattern": r"^\*\."}),
        ),
    ),
    "ImapSettings": (_CUSTOM_CALENDAR,),
    "PopSettings": (_CUSTOM_CALENDAR,),
    "ReceiveConnector": (
        {"properties": {"banner": {"anyOf": [{"type": "null"}, {"pattern": "^220"}, REFERENCE]}}},
        {"properties": {"bindings": {"type": "array", "minItems": 1}}},
        _alone("authMechanism"),
        _alone("permissionGroups"),
        _NEEDS_BASIC_AND_TLS,
        _EXTERNAL,
        {
            "if": _holds("chunkingEnabled", {"const": False}),
            "then": _holds("binaryMimeEnabled", {"anyOf": [{"const": False}, REFERENCE]}),
        },
    ),
}

RULED: Final[Mapping[str, tuple[str, ...]]] = {
    "Certificate": ("services",),
    "MailboxDatabase": (
        "issueWarningQuota",
        "prohibitSendQuota",
        "recoverableItemsWarningQuota",
        "calendarLoggingQuota",
    ),
    "Mailbox": (
        "emailAddresses",
        "issueWarningQuota",
        "prohibitSendQuota",
        "acceptMessagesOnlyFromSendersOrMembers",
    ),
    "ReceiveConnector": (
        "permissionGroups",
        "domainSecureEnabled",
        "requireTLS",
        "connectionInactivityTimeout",
        "longAddressesEnabled",
    ),
}

#: Type → what a pattern cannot tell of its values.
VALUES: Final[Mapping[str, str]] = {
    "size": "whole bytes, and the range",
    "duration": "the range",
    "binding": "the address and the port",
    "range": "the addresses, and that the first is not above the last",
    "connection": "the port and the host",
    "address": "the lengths of its parts",
}
