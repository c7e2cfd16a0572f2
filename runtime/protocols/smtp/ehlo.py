"""The EHLO answer: one table of keywords, each with the condition under which it is offered.

The order is that of Exchange's documented answer. What the table does not offer the service refuses; both
read the same `Offer`, so they cannot disagree. Nothing here knows a connector: the service fills the `Offer`
from one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from runtime.protocols.smtp.replies import Reply

SizeMode = Literal["Enabled", "Disabled", "EnabledwithoutValue"]


@dataclass(frozen=True, slots=True)
class Offer:
    """What a session may be offered now. `size` in octets; `mechanisms` are SASL names, empty for none."""

    size_mode: SizeMode
    size: int
    has_pipelining: bool
    has_enhanced_codes: bool
    has_starttls: bool
    mechanisms: tuple[str, ...]
    has_eight_bit: bool
    has_chunking: bool


@dataclass(frozen=True, slots=True)
class Keyword:
    """One row: how the line is written, and when."""

    render: Callable[[Offer], str]
    is_offered: Callable[[Offer], bool]


def _size(offer: Offer) -> str:
    return f"SIZE {offer.size}" if offer.size_mode == "Enabled" else "SIZE"


def _fixed(word: str) -> Callable[[Offer], str]:
    return lambda _offer: word


KEYWORDS: tuple[Keyword, ...] = (
    Keyword(_size, lambda offer: offer.size_mode != "Disabled"),
    Keyword(_fixed("PIPELINING"), lambda offer: offer.has_pipelining),
    Keyword(_fixed("ENHANCEDSTATUSCODES"), lambda offer: offer.has_enhanced_codes),
    Keyword(_fixed("STARTTLS"), lambda offer: offer.has_starttls),
    Keyword(lambda offer: f"AUTH {' '.join(offer.mechanisms)}", lambda offer: bool(offer.mechanisms)),
    Keyword(_fixed("8BITMIME"), lambda offer: offer.has_eight_bit),
    Keyword(_fixed("CHUNKING"), lambda offer: offer.has_chunking),
)


def ehlo_reply(fqdn: str, client: str, offer: Offer) -> Reply:
    """ "250-<fqdn> Hello [<client address>]" and a line a keyword."""
    lines = (row.render(offer) for row in KEYWORDS if row.is_offered(offer))
    return Reply(250, None, (f"{fqdn} Hello [{client}]", *lines))


def helo_reply(fqdn: str, client: str) -> Reply:
    """The answer to HELO, which offers nothing."""
    return Reply(250, None, (f"{fqdn} Hello [{client}]",))
