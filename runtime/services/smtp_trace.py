"""What an SMTP session writes to the protocol log: commands as the core understood them, replies as sent.

Events are written, not lines: a SASL response has no text here at all. A connector without Verbose logging
has a trace that writes nothing. Called by the SMTP session.
"""

from __future__ import annotations

from runtime.protocol_log.smtp import HIDDEN, Loggable, SmtpSessionLog
from runtime.protocols.smtp import events as ev
from runtime.protocols.smtp.replies import Reply


class SessionTrace:
    """The trace of one session; None writes nothing."""

    __slots__ = ("_log",)

    def __init__(self, session_log: SmtpSessionLog | None) -> None:
        self._log = session_log
        if session_log is not None:
            session_log.connected()

    def received(self, event: ev.Event) -> None:
        if self._log is not None and (text := describe(event)) is not None:
            self._log.received(text)

    def sent(self, reply: Reply) -> None:
        if self._log is not None:
            for line in reply.lines:
                self._log.sent(" ".join(part for part in (str(reply.code), reply.enhanced, line) if part))

    def information(self, data: str, context: str = "") -> None:
        if self._log is not None:
            self._log.information(data, context)

    def disconnected(self, reason: str) -> None:
        if self._log is not None:
            self._log.disconnected(reason)
            self._log = None


def describe(event: ev.Event) -> Loggable | None:
    """The command as it is logged; None for what is not a command, or was not understood as one."""
    match event:
        case ev.Hello(domain=domain, is_extended=is_extended):
            return f"{'EHLO' if is_extended else 'HELO'} {domain}".rstrip()
        case ev.Mail(sender=sender, size=size):
            return f"MAIL FROM:<{sender}>" + (f" SIZE={size}" if size is not None else "")
        case ev.Recipient(address=address):
            return f"RCPT TO:<{address}>"
        case ev.Auth(mechanism=mechanism):
            return f"AUTH {mechanism}"
        case ev.AuthResponse():
            return HIDDEN
        case ev.EndOfChunk(size=size):
            return f"BDAT {size}"
    return _PLAIN.get(type(event))


_PLAIN: dict[type[ev.Event], str] = {
    ev.Data: "DATA",
    ev.StartTls: "STARTTLS",
    ev.Reset: "RSET",
    ev.Noop: "NOOP",
    ev.Help: "HELP",
    ev.Verify: "VRFY",
    ev.Quit: "QUIT",
}
