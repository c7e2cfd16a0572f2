"""imaplib, poplib and smtplib against a real estate, over TLS with the certificate verified."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import ssl

import pytest

from tests.support import clients
from tests.support.estate import DOMAIN, PASSWORDS, Runtime
from tests.support.waiting import eventually


def _arrives(runtime: Runtime, subject: str) -> bool:
    with clients.imap(runtime, "bob") as client:
        return subject in clients.subjects(client)


def test_a_submitted_message_is_read_over_imap(shared: Runtime) -> None:
    with clients.submission(shared, "alice") as smtp:
        smtp.send_message(clients.message(subject="by submission"))
    assert eventually(lambda: _arrives(shared, "by submission"))


def test_the_anonymous_connector_takes_mail_for_the_accepted_domain(shared: Runtime) -> None:
    outside = clients.message(subject="from outside")
    outside.replace_header("From", "someone@fabrikam.example")
    with smtplib.SMTP(clients.HOST, shared.ports.smtp, timeout=30) as smtp:
        smtp.starttls(context=shared.tls())
        smtp.send_message(outside)
    assert eventually(lambda: _arrives(shared, "from outside"))


def test_the_anonymous_connector_does_not_relay(shared: Runtime) -> None:
    with smtplib.SMTP(clients.HOST, shared.ports.smtp, timeout=30) as smtp:
        smtp.ehlo()
        smtp.mail("someone@fabrikam.example")
        code, text = smtp.rcpt("victim@adatum.example")
    assert (code, text) == (550, b"5.7.1 Unable to relay")


def test_a_connector_relays_once_anonymous_clients_hold_the_right(own: Runtime) -> None:
    """fabrikam.example is no accepted domain; bob has an address in it."""
    estate = own.directory / "estate.yaml"
    text = estate.read_text(encoding="utf-8").replace(
        "  primarySmtpAddress: bob@contoso.example\n",
        "  primarySmtpAddress: bob@contoso.example\n  emailAddresses: ['smtp:bob@fabrikam.example']\n",
    )
    right = "extendedRights: {anonymousLogon: [ms-Exch-SMTP-Accept-Any-Recipient]}"
    relaying = text.replace("[AnonymousUsers]", f"[AnonymousUsers]\n  {right}")
    for declared, code in ((text, 550), (relaying, 250), (text, 550)):
        estate.write_text(declared, encoding="utf-8")
        own.reconcile("apply", str(own.directory), "--yes")
        with smtplib.SMTP(clients.HOST, own.ports.smtp, timeout=30) as smtp:
            smtp.ehlo()
            smtp.mail("someone@fabrikam.example")
            assert smtp.rcpt("bob@fabrikam.example")[0] == code


def test_the_client_connector_wants_a_logon(shared: Runtime) -> None:
    with smtplib.SMTP(clients.HOST, shared.ports.submission, timeout=30) as smtp:
        smtp.starttls(context=shared.tls())
        smtp.ehlo()
        code, _ = smtp.mail(f"alice@{DOMAIN}")
    assert code == 530


def test_a_message_is_retrieved_over_pop3_as_it_was_sent(shared: Runtime) -> None:
    with clients.submission(shared, "bob") as smtp:
        smtp.send_message(clients.message(sender="bob", to="alice", subject="for pop", text=".\n..\ntext\n"))
    with clients.imap(shared, "alice") as imap:
        eventually(lambda: clients.subjects(imap) == ["for pop"])
    client = clients.pop(shared, "alice")
    assert client.stat()[0] == 1
    lines = client.retr(1)[1]
    client.quit()
    assert lines[lines.index(b"") + 1 :] == [b".", b"..", b"text"]


def test_pop3_stls_then_deletion_is_seen_over_imap(own: Runtime) -> None:
    with clients.imap(own, "alice") as imap:
        imap.append("INBOX", "", "", b"Subject: one\r\n\r\n")
        imap.append("INBOX", "", "", b"Subject: two\r\n\r\n")
    client = poplib.POP3(clients.HOST, own.ports.pop, timeout=30)
    client.stls(context=own.tls())
    client.user("alice")
    client.pass_(PASSWORDS["alice"])
    client.dele(1)
    client.quit()
    with clients.imap(own, "alice") as imap:
        assert clients.subjects(imap) == ["two"]


def test_imap_starttls_and_the_usual_commands(shared: Runtime) -> None:
    client = imaplib.IMAP4(clients.HOST, shared.ports.imap, timeout=30)
    assert "LOGINDISABLED" in client.capabilities
    client.starttls(ssl_context=shared.tls())
    client.login(f"alice@{DOMAIN}", PASSWORDS["alice"])
    assert client.create("Projects/2026")[0] == "OK"
    assert client.append("Projects/2026", r"(\Flagged)", "", b"Subject: plan\r\n\r\ntext\r\n")[0] == "OK"
    assert client.select("Projects/2026")[1] == [b"1"]
    assert client.search(None, "FLAGGED", "SUBJECT", "plan")[1] == [b"1"]
    assert client.copy("1", "INBOX")[0] == "OK"
    assert client.store("1", "+FLAGS", r"(\Deleted)")[0] == "OK"
    assert client.expunge()[1] == [b"1"]
    assert client.logout()[0] == "BYE"


def test_a_logon_in_clear_is_refused_by_secure_login(shared: Runtime) -> None:
    client = imaplib.IMAP4(clients.HOST, shared.ports.imap, timeout=30)
    with pytest.raises(imaplib.IMAP4.error, match="Command received in Invalid state"):
        client.login(f"alice@{DOMAIN}", PASSWORDS["alice"])
    client.shutdown()


@pytest.mark.parametrize("user", ["alice@contoso.example", "nobody@contoso.example"])
def test_an_unknown_user_and_a_wrong_password_look_alike(shared: Runtime, user: str) -> None:
    client = imaplib.IMAP4_SSL(clients.HOST, shared.ports.imaps, ssl_context=shared.tls(), timeout=30)
    with pytest.raises(imaplib.IMAP4.error) as refusal:
        client.login(user, "wrong")
    client.shutdown()
    assert str(refusal.value) == "b'LOGIN failed.'"


def test_a_client_that_does_not_trust_the_certificate_does_not_get_in(shared: Runtime) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        imaplib.IMAP4_SSL(
            clients.HOST, shared.ports.imaps, ssl_context=ssl.create_default_context(), timeout=30
        )
