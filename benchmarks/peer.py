"""The same load against Dovecot on the same machine in the same run, so that a figure can be read as a ratio.

Only when Debian's `dovecot-imapd` and `dovecot-pop3d` are installed, and only as root (Dovecot wants its own users). It
is configured for speed: mail processes are reused, credentials are plain text, and deliveries are synced, as ours are.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.process import pin

_CONFIGURATION = """\
base_dir = {root}/run
state_dir = {root}/run
log_path = {root}/dovecot.log
protocols = imap pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = no
auth_cache_size = 1M
mail_location = maildir:{root}/mail/%n
mail_fsync = always
mail_max_userip_connections = 5000
default_login_user = dovenull
default_internal_user = dovecot
first_valid_uid = 1
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=dovecot gid=dovecot home={root}/mail/%n
}}
service imap-login {{
  service_count = 0
  process_min_avail = 1
  inet_listener imap {{
    port = {ports[imap]}
  }}
  inet_listener imaps {{
    port = {ports[imaps]}
    ssl = yes
  }}
}}
service pop3-login {{
  service_count = 0
  process_min_avail = 1
  inet_listener pop3 {{
    port = {ports[pop]}
  }}
  inet_listener pop3s {{
    port = {ports[pops]}
    ssl = yes
  }}
}}
service imap {{
  service_count = 1000
  process_min_avail = 1
}}
service pop3 {{
  service_count = 1000
  process_min_avail = 1
}}
service anvil {{
  client_limit = 20000
}}
service auth {{
  client_limit = 20000
}}
"""


@dataclass(frozen=True)
class Peer:
    """A running Dovecot: its ports by the names that ours have, and the certificate to trust."""

    ports: dict[str, int]
    certificate: str
    master: int

    def pids(self) -> list[int]:
        """The master and all its children, as they are now."""
        children = Path(f"/proc/{self.master}/task/{self.master}/children").read_text(encoding="ascii")
        return [self.master, *map(int, children.split())]


def is_available() -> bool:
    """True when Dovecot is installed and may be started."""
    return shutil.which("dovecot") is not None and os.geteuid() == 0


@contextmanager
def running(*, certificate: str, key: str, password: str, core: int) -> Iterator[Peer]:
    """Start Dovecot in the foreground on `core`, with the same certificate as ours; ended at the end."""
    ports = {"imap": 23143, "imaps": 23993, "pop": 23110, "pops": 23995}
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o755)
        (Path(root) / "mail").mkdir()
        shutil.chown(Path(root) / "mail", "dovecot", "dovecot")
        configuration = Path(root) / "dovecot.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                root=root, certificate=certificate, key=key, password=password, ports=ports
            ),
            encoding="utf-8",
        )
        with subprocess.Popen(["dovecot", "-F", "-c", str(configuration)]) as process:
            try:
                _wait(ports["imap"])
                dovecot = Peer(ports, certificate, process.pid)
                pin(dovecot.pids(), core)  # what it starts later inherits this
                yield dovecot
            finally:
                process.terminate()


def _wait(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
