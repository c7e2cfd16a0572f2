"""Strings of IMAP's answers: NIL, quoted, literal (RFC 3501 4.3). The one place that quotes for the store.

Nothing written here can hold a CR, LF or NUL outside a literal's frame, whatever goes in.
"""

from __future__ import annotations

from runtime.store.mime.part import Parameters

#: What a quoted string may hold as it is.
_PLAIN = bytes(octet for octet in range(0x20, 0x7F) if octet not in b'"\\') + b"\t"
_QUOTABLE = _PLAIN + b'"\\'
_TO_SPACE = bytes.maketrans(b"\r\n\0", b"   ")


def string(value: bytes) -> bytes:
    """Quoted where every octet is 7-bit and no control character, else a literal. CR, LF and NUL become spaces."""
    if not value.translate(None, _PLAIN):
        return b'"%b"' % value
    value = value.translate(_TO_SPACE)
    if not value.translate(None, _QUOTABLE):
        return b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b"{%d}\r\n%b" % (len(value), value)


def nstring(value: bytes | None) -> bytes:
    """NIL where there is no value; "" where it is empty."""
    return b"NIL" if value is None else string(value)


def body_parameters(parameters: Parameters) -> bytes:
    """`body-fld-param`: NIL or a parenthesised list of attributes and values."""
    if not parameters:
        return b"NIL"
    return b"(%b)" % b" ".join([string(text) for pair in parameters for text in pair])
