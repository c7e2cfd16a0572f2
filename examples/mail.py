"""A mail client of a few lines, standard library only, that the tour and the documentation use.

    python examples/mail.py send  --ca FILE --password-file FILE --user alice@… --to bob@… --subject TEXT
    python examples/mail.py imap  --ca FILE --password-file FILE --user bob@…
    python examples/mail.py pop   --ca FILE --password-file FILE --user bob@…
    python examples/mail.py hold  --ca FILE --password-file FILE --user bob@…

TLS is always verified against the certificate in `--ca`. `hold` stays connected over IMAP until the server says
goodbye.
"""

from __future__ import annotations

import argparse
import imaplib
import poplib
import smtplib
import ssl
import sys
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

HOST = "localhost"
CRLF = b"\r\n"


def send(args: argparse.Namespace, tls: ssl.SSLContext) -> None:
    """Submit one message on the client port: STARTTLS, AUTH, DATA."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = args.user, args.to, args.subject
    message.set_content("Sent through the client connector.\n")
    with smtplib.SMTP(HOST, args.smtp_port) as smtp:
        smtp.starttls(context=tls)
        smtp.login(args.user, args.password)
        smtp.send_message(message)
    print(f"accepted for {args.to}: {args.subject}")


def imap(args: argparse.Namespace, tls: ssl.SSLContext) -> None:
    """List the subjects in INBOX over IMAP with implicit TLS."""
    with imaplib.IMAP4_SSL(HOST, args.imap_port, ssl_context=tls) as client:
        client.login(args.user, args.password)
        _, (count, *_) = client.select("INBOX", readonly=True)
        print(f"IMAP: {int(count or b'0')} message(s) in INBOX of {args.user}")
        _, rows = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        for row in rows:
            if isinstance(row, tuple):
                print(f"  {_subject(row[1])}")


def pop(args: argparse.Namespace, tls: ssl.SSLContext) -> None:
    """Count and retrieve with POP3 over implicit TLS, and show the subject; nothing is deleted."""
    client = poplib.POP3_SSL(HOST, args.pop_port, context=tls)
    client.user(args.user)
    client.pass_(args.password)
    count, octets = client.stat()
    print(f"POP3: {count} message(s), {octets} octets in the maildrop of {args.user}")
    if count:
        _, lines, _ = client.retr(1)
        print(f"  {_subject(CRLF.join(lines))}")
    client.quit()


def _subject(header: bytes) -> str:
    """The subject as people read it, its encoded words decoded."""
    return str(message_from_bytes(header, policy=default)["Subject"] or "(no subject)")


def hold(args: argparse.Namespace, tls: ssl.SSLContext) -> None:
    """Log on, say so, and wait until the server ends the session; print its last words."""
    client = imaplib.IMAP4_SSL(HOST, args.imap_port, ssl_context=tls)
    client.login(args.user, args.password)
    client.select("INBOX")
    print("connected over IMAP as", args.user, flush=True)
    print("the server said:", client.readline().decode().strip(), flush=True)


ACTIONS: dict[str, Callable[[argparse.Namespace, ssl.SSLContext], None]] = {
    "send": send,
    "imap": imap,
    "pop": pop,
    "hold": hold,
}


def main(argv: list[str]) -> int:
    """Parse the command line, verify TLS against `--ca`, and do the one thing asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("action", choices=sorted(ACTIONS))
    parser.add_argument("--ca", type=Path, required=True, help="PEM file of the certificate to trust")
    parser.add_argument("--password-file", type=Path, required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--to")
    parser.add_argument("--subject", default="Hello")
    parser.add_argument("--smtp-port", type=int, default=10587)
    parser.add_argument("--imap-port", type=int, default=10993)
    parser.add_argument("--pop-port", type=int, default=10995)
    args = parser.parse_args(argv)
    args.password = args.password_file.read_text(encoding="utf-8").strip()
    ACTIONS[args.action](args, ssl.create_default_context(cafile=str(args.ca)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
