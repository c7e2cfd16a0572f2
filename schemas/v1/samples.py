"""What the reference shows of documents: the envelope, one smallest sample of each kind, and how values are written.

Everything here is data for `reference`; tests read every sample and every example as `reconcile` would, so none of it
can go stale.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

ENVELOPE = """\
apiVersion: reconciler/v1          # always this
kind: ImapSettings                 # one of the kinds below
metadata:
  name: imap                       # letters, digits, ".", "-", "_"; unique in its kind, or in its kind on each server
  labels: {site: dublin}           # optional: what selectors match
  annotations: {owner: messaging}  # optional: notes for people and tools
spec:                              # the settings; what is left out has its default
  servers: [ex01]                  # kinds of a server only, see below
  maxConnectionsPerUser: 32
lifecycle:                         # optional
  protect: true                    # nothing deletes it, declared or not
  ignore:                          # fields whose live values are left as they are
    - {path: banner, reason: set by the front desk}
"""

SERVERS: tuple[tuple[str, str], ...] = (
    ("servers: [ex01, ex02]", "these servers, by the names of their `Server` documents"),
    (
        "servers: {matchLabels: {site: dublin}}",
        "every server whose `metadata.labels` carry all of these; to take every server give all of them one label",
    ),
)

SECRETS_RULE = "A secret never stands in a declaration, only where it lies."
SECRETS: tuple[tuple[str, str], ...] = (
    ("password: {secretRef: {file: secrets/alice}}", "the content of a file, relative to the YAML file"),
    ("password: {secretRef: {env: ALICE_PASSWORD}}", "an environment variable"),
    ("password: {secretRef: {encrypted: secrets/alice.age}}", "a file encrypted with age, safe to commit"),
)


class Writing(NamedTuple):
    """How a type of value is written; each example is a YAML value."""

    syntax: str
    examples: tuple[str, ...]


#: By the type's name as `explain` and the pages show it; a `list of` one holds such values in brackets.
WRITING: Mapping[str, Writing] = MappingProxyType(
    {
        "boolean": Writing("true or false; yes, no, on and off are words", ("true", "false")),
        "integer": Writing("a whole number, not in quotes; Unlimited where the field allows it", ("16",)),
        "duration": Writing(
            "[days.]hh:mm:ss, or numbers with d, h, m, s, ms", ('"00:30:00"', '"1.00:00:00"', "30s", "1h 30m")
        ),
        "size": Writing(
            "a number with B, KB, MB, GB or TB, in steps of 1024; without a unit bytes",
            ("36MB", "1.5 GB", "1024"),
        ),
        "text": Writing(
            "any text; in quotes when it looks like a number or holds `: ` or ` #`", ("logs/imap", '"17"')
        ),
        "line": Writing("one line of printable ASCII", ("Ready.",)),
        "enum": Writing("one of the words under Allowed, in exactly this spelling", ()),
        "group": Writing(
            "key: value pairs, indented", ("{subjectAlternativeNames: [mail.contoso.example]}",)
        ),
        "host": Writing("a host name, without a port", ("mail.contoso.example",)),
        "domain": Writing(
            "a domain; one that starts with `*.` needs quotes", ("contoso.example", '"*.contoso.example"')
        ),
        "binding": Writing(
            "address:port, IPv6 in square brackets, in quotes; 0.0.0.0 and [::] are all addresses of a family",
            ('"127.0.0.1:10143"', '"[::1]:10143"', '"0.0.0.0:143"'),
        ),
        "range": Writing(
            "an address, a network, or first-last; IPv6 in quotes",
            ("192.0.2.7", "192.0.2.0/24", "192.0.2.1-192.0.2.9", '"2001:db8::/32"'),
        ),
        "address": Writing(
            "user@domain; among emailAddresses also another type before a colon, in quotes",
            ("alice@contoso.example", '"x500:/o=Contoso/cn=alice"'),
        ),
        "alias": Writing(
            "letters, digits and !#%*+-/=?^_~, with dots inside, 64 at most", ("alice", "alice.a")
        ),
        "connection": Writing(
            "host:port:encryption, in quotes; the encryption is SSL, TLS or left out",
            ('"mail.contoso.example:993:SSL"', '"mail.contoso.example:143:TLS"'),
        ),
        "capability": Writing(
            "domain:capability, in quotes", ('"mail.contoso.example:AcceptCloudServicesMail"',)
        ),
        "thumbprint": Writing("SHA-256 as 64 hexadecimal digits, colons allowed; filled in from a file", ()),
        "secret": Writing("a reference, never the secret itself; see Secrets", ()),
    }
)

SAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "Server": """\
apiVersion: reconciler/v1
kind: Server
metadata: {name: ex01, labels: {site: dublin}}
spec:
  fqdn: ex01.contoso.example
  services:
    imap4: {startupType: Automatic}
    imap4-backend: {startupType: Automatic}
""",
        "Certificate": """\
apiVersion: reconciler/v1
kind: Certificate
metadata: {name: mail}
spec:
  servers: [ex01]
  certificateFile: certificates/mail.crt
  privateKeyFile: certificates/mail.key
  services: [IMAP, POP, SMTP]
""",
        "AcceptedDomain": """\
apiVersion: reconciler/v1
kind: AcceptedDomain
metadata: {name: contoso}
spec:
  domainName: contoso.example
""",
        "ThrottlingPolicy": """\
apiVersion: reconciler/v1
kind: ThrottlingPolicy
metadata: {name: everybody}
spec:
  imapMaxConcurrency: 20
""",
        "MailboxDatabase": """\
apiVersion: reconciler/v1
kind: MailboxDatabase
metadata: {name: db01}
spec:
  server: ex01
""",
        "ImapSettings": """\
apiVersion: reconciler/v1
kind: ImapSettings
metadata: {name: imap}
spec:
  servers: [ex01]
  unencryptedOrTLSBindings: ["127.0.0.1:10143"]
  sslBindings: ["127.0.0.1:10993"]
""",
        "PopSettings": """\
apiVersion: reconciler/v1
kind: PopSettings
metadata: {name: pop}
spec:
  servers: [ex01]
  unencryptedOrTLSBindings: ["127.0.0.1:10110"]
  sslBindings: ["127.0.0.1:10995"]
""",
        "ReceiveConnector": """\
apiVersion: reconciler/v1
kind: ReceiveConnector
metadata: {name: client}
spec:
  servers: [ex01]
  transportRole: FrontendTransport
  bindings: ["127.0.0.1:10587"]
  authMechanism: [Tls, BasicAuth, BasicAuthRequireTLS]
  permissionGroups: [ExchangeUsers]
""",
        "Mailbox": """\
apiVersion: reconciler/v1
kind: Mailbox
metadata: {name: alice}
spec:
  database: db01
  primarySmtpAddress: alice@contoso.example
  password: {secretRef: {file: secrets/alice}}
""",
    }
)
