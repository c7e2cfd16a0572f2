"""`Certificate`: a TLS certificate of one server, and the services that may use it.

It comes from PEM files, or is made on the server for development (`selfSigned`). A file says where a certificate is to
be had, not which one it is: the server keeps its own copy, so what is live is known by its thumbprint and has no path.
The private key is only ever named, never held. File paths are relative to the declaring file.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Self

from pydantic import Field

from schemas.v1.base import Exchange, FieldImpact, Model, Reloads, SecurityRelevant, Spec, Unit
from schemas.v1.scalar import ListOf, Scalar, Words
from schemas.v1.types import Between, SetOf, Text, Whole, WildcardName


class CertificateService(Words):
    """A service that a certificate is enabled for (Enable-ExchangeCertificate -Services)."""

    IIS = "IIS"
    IMAP = "IMAP"
    POP = "POP"
    SMTP = "SMTP"
    UM = "UM"
    UM_CALL_ROUTER = "UMCallRouter"


class KeyType(Words):
    """The kind of key that is made for a self-signed certificate."""

    ECDSA_P256 = "ECDSA-P256"
    RSA_2048 = "RSA-2048"


def _parse_thumbprint(value: object) -> str:
    text = value.replace(":", "").lower() if isinstance(value, str) else ""
    if len(text) == 64 and set(text) <= set("0123456789abcdef"):
        return text
    raise ValueError


THUMBPRINT = Scalar(
    "thumbprint",
    "a SHA-256 thumbprint of 64 hexadecimal digits",
    _parse_thumbprint,
    str,
    {"type": "string", "pattern": "^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$"},
)


_NO_SOURCE = (
    "a certificate needs certificateFile and privateKeyFile, or selfSigned, or else the thumbprint of one that the "
    "server has"
)


class SelfSigned(Model):
    """A certificate for development, made on the server; its key never leaves it."""

    subject_alternative_names: Annotated[
        tuple[WildcardName, ...],
        SetOf(),
        Field(description="Host names that it is valid for. Empty: the server's own name."),
    ] = ()
    valid_days: Annotated[
        Whole, Between(1, 36500), Unit("days"), Field(description="For how long it is valid once made.")
    ] = 1825
    key_type: Annotated[KeyType, Field(description="The kind of key.")] = KeyType.ECDSA_P256


class Certificate(Spec):
    """A certificate with its key, and the services that offer it."""

    default_impact: ClassVar[FieldImpact | None] = Reloads("imap4", "pop3", "frontend-transport", "transport")

    certificate_file: Annotated[
        Text | None,
        SecurityRelevant("decides which certificate clients are shown"),
        Field(
            description="PEM file of the certificate and its chain, which the server takes a copy of; a path is "
            "relative to the YAML file."
        ),
    ] = None
    private_key_file: Annotated[
        Text | None,
        SecurityRelevant("decides which key proves who the server is"),
        Field(
            description="PEM file of the private key, which only its owner may read; a path is relative to the YAML "
            "file."
        ),
    ] = None
    self_signed: Annotated[
        SelfSigned | None,
        SecurityRelevant("decides which certificate clients are shown"),
        Field(description="Make a certificate on the server instead, for development."),
    ] = None
    services: Annotated[
        tuple[CertificateService, ...],
        SetOf(),
        SecurityRelevant("decides which certificate clients are shown"),
        Exchange("Services"),
        Field(description="The services that may use the certificate."),
    ]
    thumbprint: Annotated[
        Annotated[str, THUMBPRINT] | None,
        SecurityRelevant("decides which certificate clients are shown"),
        Exchange("Thumbprint"),
        Field(
            description="SHA-256 of the certificate; filled in from the file, null when self-signed. Without a file it "
            "names a certificate that the server has already."
        ),
    ] = None
    chain: Annotated[
        tuple[Annotated[str, THUMBPRINT], ...],
        ListOf(),
        Field(
            description="SHA-256 of each certificate that is sent after it, in order; filled in from the file."
        ),
    ] = ()

    def as_live(self) -> Self:
        """By thumbprint, if it is known; what cannot be read here stays what the declaration says of it."""
        if self.thumbprint is None or self.certificate_file is None:
            return self
        return self.model_copy(update={"certificate_file": None, "private_key_file": None})

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from self._source_rules()
        names = self.self_signed.subject_alternative_names if self.self_signed else ()
        if any(name.startswith("*.") for name in names) and {"IMAP", "POP"} & set(self.services):
            yield (
                "services",
                "a wildcard certificate is not enabled for IMAP or POP; name it with x509CertificateName",
            )

    def _source_rules(self) -> Iterator[tuple[str, str]]:
        if self.self_signed and (self.certificate_file or self.private_key_file):
            yield "self_signed", "a certificate is selfSigned or comes from certificateFile, not both"
        elif not self.self_signed and self.certificate_file is None:
            if self.private_key_file or self.thumbprint is None:
                yield "certificate_file", _NO_SOURCE
        elif not self.self_signed and self.private_key_file is None:
            yield "private_key_file", "certificateFile needs privateKeyFile, its key"
        if self.self_signed and self.thumbprint:
            yield "thumbprint", "a selfSigned certificate has no thumbprint until it is made; leave it out"
        if self.self_signed and self.chain:
            yield "chain", "a selfSigned certificate has no chain; leave it out"
