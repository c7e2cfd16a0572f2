"""ENVELOPE (RFC 3501 7.4.2), rendered from a message's header. Words of RFC 2047 stay as they are.

Called at delivery, and for messages inside messages by the body structure.
"""

from __future__ import annotations

from runtime.store.mime.addresses import render_addresses
from runtime.store.mime.limits import LIMITS, Limits
from runtime.store.mime.part import Octets, Part
from runtime.store.mime.wire import nstring


def render_envelope(_data: Octets, part: Part, *, limits: Limits = LIMITS) -> bytes:
    """`(date subject from sender reply-to to cc bcc in-reply-to message-id)` of the message `part`.

    Missing text is NIL and empty text ""; missing or empty address lists are NIL, but Sender and Reply-To default to
    From.
    """
    found = part.fields
    author = render_addresses(found.get(b"from"), limits)
    sender = render_addresses(found.get(b"sender"), limits)
    reply_to = render_addresses(found.get(b"reply-to"), limits)
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        nstring(found.get(b"date")),
        nstring(found.get(b"subject")),
        author,
        author if sender == b"NIL" else sender,
        author if reply_to == b"NIL" else reply_to,
        render_addresses(found.get(b"to"), limits),
        render_addresses(found.get(b"cc"), limits),
        render_addresses(found.get(b"bcc"), limits),
        nstring(found.get(b"in-reply-to")),
        nstring(found.get(b"message-id")),
    )
