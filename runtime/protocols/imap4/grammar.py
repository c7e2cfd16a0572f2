"""The pieces of the IMAP grammar (RFC 3501 section 9) as named patterns, and the sizes that bound them.

Refuses to know commands or values: those are built from these pieces by `tokens`, `values` and `writer`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CRLF = b"\r\n"

#: ATOM-CHAR: no controls, no space, none of ( ) { % * " \ ].
ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
#: ASTRING-CHAR adds "]".
ASTRING_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
#: list-char adds the wildcards.
LIST_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
#: tag: ASTRING-CHAR without "+".
TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]+')
FLAG = re.compile(rb'\\?[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
NUMBER = re.compile(rb"[0-9]{1,10}")
NZ_NUMBER = re.compile(rb"[1-9][0-9]{0,9}")
#: sequence-set: numbers, "*" and ranges of them, separated by commas.
SEQUENCE_SET = re.compile(
    rb"(?:[1-9][0-9]{0,9}|\*)(?::(?:[1-9][0-9]{0,9}|\*))?(?:,(?:[1-9][0-9]{0,9}|\*)(?::(?:[1-9][0-9]{0,9}|\*))?)*"
)
#: The announcement of a literal at the end of a line; "+" makes it non-synchronising (RFC 7888).
LITERAL_HEADER = re.compile(rb"\{([0-9]{1,10})(\+?)\}\Z")
#: date: 1-Feb-1994, the day with one or two digits.
DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
#: date-time: "17-Jul-1996 02:44:25 -0700", the day padded with a space.
DATE_TIME = re.compile(
    rb"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)
#: What a quoted string may hold on the way out: TEXT-CHAR, 7 bits.
QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*")

MONTHS = (b"JAN", b"FEB", b"MAR", b"APR", b"MAY", b"JUN", b"JUL", b"AUG", b"SEP", b"OCT", b"NOV", b"DEC")

#: The largest `number` of RFC 3501: 32 bits.
MAX_NUMBER = 0xFFFFFFFF


class GrammarError(ValueError):
    """The client's bytes do not follow the grammar; the text says what was expected and is fit for the client."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one command may cost, in octets unless said otherwise. Each is tested at its edge."""

    #: MaxCommandSize: the text of a command, all its lines together, without literals.
    command_line: int = 10240
    #: One literal that is not the message of an APPEND.
    literal: int = 100 * 1024
    #: All literals of one command together, again without the message of an APPEND.
    literals_total: int = 1024 * 1024
    #: Number of literals in one command.
    literal_count: int = 1000
    #: The message of an APPEND.
    message: int = 36 * 1024 * 1024
    #: How deep SEARCH keys may nest.
    depth: int = 50
    #: Parentheses, and likewise members, in one command.
    list_items: int = 4000
    #: Data items of one FETCH: each may be as large as the message.
    fetch_items: int = 100

    def before_logon(self) -> Limits:
        """The same command line, but only what a logon needs (RFC 7888 LITERAL-: at most 4096 octets)."""
        return Limits(
            command_line=self.command_line,
            literal=4096,
            literals_total=8192,
            literal_count=8,
            message=0,
            depth=4,
            list_items=100,
        )
