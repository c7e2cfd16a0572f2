"""`AcceptedDomain`: a domain that the estate receives mail for (Set-AcceptedDomain). Its changes apply at once."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from schemas.v1.base import Exchange, FieldImpact, SecurityRelevant, Spec, TakesEffectAtOnce
from schemas.v1.scalar import Words
from schemas.v1.types import Flag, WildcardName


class DomainType(Words):
    """Who delivers for the domain: this estate alone, or another system too."""

    AUTHORITATIVE = "Authoritative"
    INTERNAL_RELAY = "InternalRelay"
    EXTERNAL_RELAY = "ExternalRelay"


class AcceptedDomain(Spec):
    """A domain, and what becomes of mail to recipients in it."""

    default_impact: ClassVar[FieldImpact | None] = TakesEffectAtOnce()

    domain_name: Annotated[
        WildcardName,
        SecurityRelevant("decides which recipients mail is taken for"),
        Exchange("DomainName"),
        Field(description='The domain; "*." in front takes its subdomains too.'),
    ]
    domain_type: Annotated[
        DomainType,
        SecurityRelevant("decides whether mail for others is relayed"),
        Exchange("DomainType"),
        Field(description="Authoritative: an unknown recipient is refused. Relay types: mail is passed on."),
    ] = DomainType.AUTHORITATIVE
    make_default: Annotated[
        Flag, Exchange("MakeDefault"), Field(description="The domain that completes addresses without one.")
    ] = False
    match_sub_domains: Annotated[
        Flag,
        SecurityRelevant("decides which recipients mail is taken for"),
        Exchange("MatchSubDomains"),
        Field(description="Accept mail for every subdomain too."),
    ] = False
    address_book_enabled: Annotated[
        Flag | None,
        Exchange("AddressBookEnabled"),
        Field(description="Look recipients up in the directory. Null: true for Authoritative, else false."),
    ] = None

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.make_default and self.domain_name.startswith("*."):
            yield "make_default", "a default domain is one domain, without an asterisk"
