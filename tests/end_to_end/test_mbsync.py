"""mbsync, a real IMAP client that keeps a mailbox in step with a maildir, over STARTTLS and implicit TLS."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import clients
from tests.support.estate import DOMAIN, PASSWORDS, Runtime
from tests.support.programs import need, run

_CONFIGURATION = """\
IMAPAccount estate
Host localhost
Port {port}
User alice@{domain}
Pass "{password}"
{tls_option} {tls}
CertificateFile {certificate}
AuthMechs LOGIN

IMAPStore server
Account estate

MaildirStore local
Path {maildir}/
Inbox {maildir}/INBOX
SubFolders Verbatim

Channel mail
Far :server:
Near :local:
Patterns INBOX
Create Near
Expunge Both
SyncState *
"""


def _option(mbsync: str) -> str:
    version = run(mbsync, "--version").split()[-1]
    return "TLSType" if tuple(int(part) for part in version.split(".")[:2]) >= (1, 5) else "SSLType"


@pytest.mark.parametrize("tls", ["STARTTLS", "IMAPS"])
def test_a_mailbox_and_a_maildir_agree(own: Runtime, tmp_path: Path, tls: str) -> None:
    mbsync = need("mbsync")
    with clients.imap(own, "alice") as client:
        client.append("INBOX", "", "", b"Subject: one\r\n\r\nfirst\r\n")
        client.append("INBOX", r"(\Seen)", "", b"Subject: two\r\n\r\nsecond\r\n")
    (tmp_path / "maildir").mkdir()
    configuration = tmp_path / "mbsyncrc"
    configuration.write_text(
        _CONFIGURATION.format(
            port=own.ports.imap if tls == "STARTTLS" else own.ports.imaps,
            domain=DOMAIN,
            password=PASSWORDS["alice"],
            tls=tls,
            tls_option=_option(mbsync),
            certificate=own.certificate,
            maildir=tmp_path / "maildir",
        ),
        encoding="utf-8",
    )

    run(mbsync, "--config", str(configuration), "mail")
    pulled = sorted((tmp_path / "maildir" / "INBOX").glob("*/*"))
    assert len(pulled) == 2

    pulled[0].unlink()
    run(mbsync, "--config", str(configuration), "mail")
    with clients.imap(own, "alice") as client:
        assert len(clients.subjects(client)) == 1
