"""Draws live estates: every kind, fields away from their defaults, secrets, protection."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from reconciler.model import Key
from reconciler.secret import SecretValue
from reconciler.targets.memory import MemoryTarget
from reconciler.targets.target import Attribution
from schemas.v1.codec import parse_spec

BY = Attribution("somebody")
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
_STARTUP = st.sampled_from(["Automatic", "Manual", "Disabled"])
_NAMES = st.sampled_from(["007", "yes", "null", "a.b", "alice", "bob", "1e3", "n"])


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


_SERVICES = _some(
    **{name: _some(startupType=_STARTUP) for name in ("imap4", "imap4-backend", "pop3", "transport")}
)
_PROTOCOL = {
    "banner": TEXT,
    "maxConnectionsPerUser": st.integers(1, 2147483647),
    "authenticatedConnectionTimeout": st.sampled_from(["00:30:00", "1.00:00:00", "45m"]),
    "loginType": st.sampled_from(["SecureLogin", "PlainTextLogin", "PlainTextAuthentication"]),
    "protocolLogEnabled": st.booleans(),
}
_MAILBOX = _some(
    emailAddresses=st.lists(
        st.sampled_from(["x@contoso.example", "y@contoso.example", "x500:/o=C: #"]), unique=True
    ),
    imapEnabled=st.booleans(),
    maxSendSize=st.sampled_from(["36MB", 1, "Unlimited"]),
    acceptMessagesOnlyFrom=st.lists(
        st.sampled_from([f"a rather long name of a sender {number}" for number in range(9)]), unique=True
    ),
    sclJunkThreshold=st.one_of(st.none(), st.integers(0, 9)),
)
_POLICY = _some(imapMaxConcurrency=st.sampled_from([1, 40, "Unlimited"]))
_RIGHTS = st.lists(st.sampled_from(["ms-Exch-SMTP-Submit", "ms-Exch-SMTP-Accept-Any-Recipient"]), unique=True)
_CONNECTOR = _some(
    banner=st.just("220 hello"), extendedRights=_some(anonymousLogon=_RIGHTS, authenticatedUsers=_RIGHTS)
)
_STORED = st.fixed_dictionaries(
    {"thumbprint": st.sampled_from(["ab" * 32, "01" * 32])},
    optional={"chain": st.lists(st.sampled_from(["cd" * 32, "23" * 32]), max_size=2)},
)
_SELF_SIGNED = _some(validDays=st.integers(1, 36500), keyType=st.sampled_from(["RSA-2048", "ECDSA-P256"]))


@st.composite
def targets(draw: st.DrawFn) -> MemoryTarget:
    """A target with one or two servers and what belongs to them; ports do not clash."""
    target = MemoryTarget()
    for number in range(draw(st.integers(1, 2))):
        _draw_server(draw, target, f"ex0{number + 1}", 20000 + 100 * number if number else None)
    if draw(st.booleans()):
        _put(
            target,
            "AcceptedDomain",
            "contoso",
            {"domainName": "contoso.example", "domainType": "Authoritative"},
        )
    if draw(st.booleans()):
        _put(target, "ThrottlingPolicy", "plain", draw(_POLICY))
    for name in draw(st.lists(_NAMES, unique=True, max_size=4)):
        address = f"m{name.replace('.', '-')}@contoso.example"
        fields = {"database": "db-ex01", "primarySmtpAddress": address, **draw(_MAILBOX)}
        if name != "alice":
            fields.pop("emailAddresses", None)
        _put(target, "Mailbox", name, fields, secret="planted" if draw(st.booleans()) else None)
    return target


def _draw_server(draw: st.DrawFn, target: MemoryTarget, name: str, other_port: int | None) -> None:
    """`other_port`: where this one listens, when the usual ports are those of another server."""
    port = other_port or 20900
    _put(target, "Server", name, {"fqdn": f"{name}.contoso.example", "services": draw(_SERVICES)})
    _put(target, "MailboxDatabase", f"db-{name}", {"server": name})
    if draw(st.booleans()):
        source = draw(st.one_of(st.fixed_dictionaries({"selfSigned": _SELF_SIGNED}), _STORED))
        _put(target, "Certificate", f"{name}/development", {**source, "services": ["IMAP", "SMTP"]})
    if other_port is not None:
        pop = {
            "sslBindings": [f"127.0.0.1:{port + 4}"],
            "unencryptedOrTLSBindings": [],
            "proxyTargetPort": port + 5,
        }
        _put(target, "PopSettings", name, pop)
    if other_port is not None or draw(st.booleans()):
        imap = {
            "sslBindings": [f"127.0.0.1:{port}"],
            "unencryptedOrTLSBindings": [],
            "proxyTargetPort": port + 1,
        }
        _put(target, "ImapSettings", name, imap | draw(_some(**_PROTOCOL)))
    if draw(st.booleans()):
        connector = {"bindings": [f"127.0.0.1:{port + 2}"], "transportRole": "FrontendTransport"}
        _put(target, "ReceiveConnector", f"{name}/client", connector | draw(_CONNECTOR))


def _put(
    target: MemoryTarget, kind: str, name: str, fields: dict[str, Any], *, secret: str | None = None
) -> None:
    secrets = {"password": SecretValue(secret)} if secret else {}
    target.write(Key(kind, name), parse_spec(kind, fields), secrets=secrets, expect=None, by=BY)
