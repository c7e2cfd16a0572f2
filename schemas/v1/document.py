"""A document as a file holds it: apiVersion, kind, metadata, spec, lifecycle; and what selects servers.

The spec is left as data here: `codec.parse_spec` checks it once its servers are known. What v1 does not act on is not
accepted, so a misspelt or wished-for key is never ignored in silence.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field

from schemas.v1.base import Model
from schemas.v1.scalar import Scalar, Words, show, unexpected
from schemas.v1.types import Flag, Text

API_VERSION: Final = "reconciler/v1"

#: Declares values that others use as ${name}; not a kind, as nothing of it is live.
VARIABLES: Final = "Variables"

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_NAME_SCHEMA: Any = {"type": "string", "pattern": f"^{_NAME.pattern}$"}


def parse_name(value: object) -> str:
    """Return a resource name: 1 to 64 letters, digits, dots, dashes and underscores. Raises ValueError."""
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise ValueError("put it in quotes" if isinstance(value, int | float) else "")


NAME = Scalar(
    "name",
    'a name such as "ex01": up to 64 letters, digits, ".", "-" and "_", a letter or digit at both ends',
    parse_name,
    str,
    _NAME_SCHEMA,
)
Name = Annotated[str, NAME]


class ApiVersion(Words):
    """The versions of the contract."""

    V1 = API_VERSION


class KindName(Words):
    """The kinds of version 1; `KINDS` describes them."""

    SERVER = "Server"
    CERTIFICATE = "Certificate"
    ACCEPTED_DOMAIN = "AcceptedDomain"
    THROTTLING_POLICY = "ThrottlingPolicy"
    MAILBOX_DATABASE = "MailboxDatabase"
    IMAP_SETTINGS = "ImapSettings"
    POP_SETTINGS = "PopSettings"
    RECEIVE_CONNECTOR = "ReceiveConnector"
    MAILBOX = "Mailbox"


class Metadata(Model):
    """What a document is called, and what others may select it by."""

    name: Annotated[
        Name,
        Field(
            description="Name of the resource, unique among those of its kind; of a kind that selects servers, among "
            "those of its kind for one server. What an overlay changes must be the only one of its kind and name."
        ),
    ]
    labels: dict[Text, Text] = Field(
        default_factory=dict, description="Labels that selectors match, such as site: dublin."
    )
    annotations: dict[Text, Text] = Field(default_factory=dict, description="Notes for people and tools.")


class IgnoredField(Model):
    """A field that a declaration leaves to others."""

    path: Annotated[Text, Field(description="YAML path of the field within spec.")]
    reason: Annotated[Text, Field(description="Why it is left to others, and to whom.")]


class Lifecycle(Model):
    """How the reconciler treats the resource."""

    ignore: Annotated[
        tuple[IgnoredField, ...], Field(description="Fields whose live values are left as they are.")
    ] = ()
    protect: Annotated[Flag, Field(description="Whether nothing may delete it, declared or not.")] = False
    renamed_from: Annotated[
        Name | None, Field(description="Its metadata.name before, so that it keeps what it holds.")
    ] = None


#: What tells the items of a list apart where they are mappings: overlays merge such lists item by item.
LIST_KEYS: Final[Mapping[tuple[str, ...], str]] = {("lifecycle", "ignore"): "path"}


class Document(Model):
    """One YAML document. `spec` is data, not yet checked; for a kind that selects servers it holds `servers` too."""

    api_version: Annotated[ApiVersion, Field(description="Version of the contract.")]
    kind: Annotated[KindName, Field(description="What is declared.")]
    metadata: Annotated[Metadata, Field(description="Name and labels.")]
    spec: Annotated[dict[Text, Any], Field(description="The settings.")]
    lifecycle: Lifecycle = Field(default_factory=Lifecycle, description="How the reconciler treats it.")


def parse_document(data: Mapping[str, object]) -> Document:
    """Return the document, its spec unchecked. Raises pydantic.ValidationError."""
    return Document.model_validate(dict(data), by_alias=True, by_name=False)


@dataclass(frozen=True, slots=True)
class ServerSelector:
    """Which servers a document is for: those named, or those that carry all of these labels."""

    names: tuple[str, ...] = ()
    match_labels: tuple[tuple[str, str], ...] = ()

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        """True when the server is selected."""
        if self.names:
            return name in self.names
        return all(labels.get(label) == value for label, value in self.match_labels)


SELECTOR_EXPECTED: Final = "a list of server names such as [ex01], or {matchLabels: {site: dublin}}"
SELECTOR_SCHEMA: Final[Mapping[str, Any]] = {
    "anyOf": [
        {"type": "array", "items": _NAME_SCHEMA, "minItems": 1},
        {
            "type": "object",
            "properties": {
                "matchLabels": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "minProperties": 1,
                }
            },
            "required": ["matchLabels"],
            "additionalProperties": False,
        },
    ]
}


def parse_selector(value: object) -> ServerSelector:
    """Return the selector under spec.servers. Raises ValueError (a PydanticCustomError) saying what was expected."""
    if isinstance(value, list | tuple) and value:
        return ServerSelector(names=tuple(NAME.validate(name) for name in value))
    labels = value.get("matchLabels") if isinstance(value, Mapping) and len(value) == 1 else None
    if not isinstance(labels, Mapping) or not labels:
        raise unexpected("selector", SELECTOR_EXPECTED, value)
    for label, text in labels.items():
        if not isinstance(label, str) or not isinstance(text, str):
            raise unexpected("selector", f"text as the value of label {label}", show(text))
    return ServerSelector(match_labels=tuple(sorted(labels.items())))
