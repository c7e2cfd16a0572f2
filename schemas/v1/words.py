"""Words that more than one kind uses: closed sets of Exchange's enumerations.

A word that belongs to one kind alone stands in the module of that kind.
"""

from __future__ import annotations

from schemas.v1.scalar import Words, numbered_from


@numbered_from(0)
class MimeTextFormat(Words):
    """In which form a message body is given to a client (MessageRetrievalMimeFormat)."""

    TEXT_ONLY = "TextOnly"
    HTML_ONLY = "HtmlOnly"
    HTML_AND_TEXT_ALTERNATIVE = "HtmlAndTextAlternative"
    TEXT_ENRICHED_ONLY = "TextEnrichedOnly"
    TEXT_ENRICHED_AND_TEXT_ALTERNATIVE = "TextEnrichedAndTextAlternative"
    BEST_BODY_FORMAT = "BestBodyFormat"
    TNEF = "Tnef"


class ExtendedProtection(Words):
    """Channel binding of Integrated Windows authentication (ExtendedProtectionPolicy)."""

    NONE = "None"
    ALLOW = "Allow"
    REQUIRE = "Require"


class StartupType(Words):
    """How a service starts: with the runtime, by hand, or never."""

    AUTOMATIC = "Automatic"
    MANUAL = "Manual"
    DISABLED = "Disabled"
