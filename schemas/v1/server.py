"""`Server`: one machine of the estate, which of its services run, and how it keeps passwords.

Nothing here is an Exchange parameter: Exchange keeps startup types with Windows, and the rest is this runtime's own.
"""

from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import Field

from schemas.v1.base import FieldImpact, Model, Restarts, SecurityRelevant, Spec, TakesEffectAtOnce, Unit
from schemas.v1.types import Between, Duration, HostName, Line, Whole
from schemas.v1.words import StartupType

_DRAIN_LIMIT = "01:00:00"


class ClientService(Model):
    """A POP3 or IMAP4 service; as with Exchange it is off until its startup type is Automatic."""

    startup_type: Annotated[
        StartupType,
        SecurityRelevant("decides whether clients can reach the service"),
        Field(description="Automatic: it runs. Manual or Disabled: it does not."),
    ] = StartupType.MANUAL


class TransportService(Model):
    """A mail flow service; it runs unless it is told not to."""

    startup_type: Annotated[
        StartupType,
        SecurityRelevant("decides whether clients can reach the service"),
        Field(description="Automatic: it runs. Manual or Disabled: it does not."),
    ] = StartupType.AUTOMATIC


class Services(Model):
    """The services of a server, by name."""

    imap4: Annotated[ClientService, Restarts("imap4")] = Field(default_factory=ClientService)
    imap4_backend: Annotated[ClientService, Restarts("imap4-backend")] = Field(
        default_factory=ClientService, alias="imap4-backend"
    )
    pop3: Annotated[ClientService, Restarts("pop3")] = Field(default_factory=ClientService)
    pop3_backend: Annotated[ClientService, Restarts("pop3-backend")] = Field(
        default_factory=ClientService, alias="pop3-backend"
    )
    frontend_transport: Annotated[TransportService, Restarts("frontend-transport")] = Field(
        default_factory=TransportService, alias="frontend-transport"
    )
    transport: Annotated[TransportService, Restarts("transport")] = Field(default_factory=TransportService)


class PasswordHashing(Model):
    """Parameters of argon2id; new hashes follow them, existing ones stay until the password is written again."""

    memory_cost: Annotated[
        Whole, Between(8, 4194304), Unit("KiB"), Field(description="Memory of one hash.")
    ] = 19456
    time_cost: Annotated[
        Whole, Between(1, 1000), Unit("passes"), Field(description="Passes over that memory.")
    ] = 2
    parallelism: Annotated[Whole, Between(1, 64), Unit("lanes"), Field(description="Lanes of one hash.")] = 1


class Server(Spec):
    """One server: its name, its site, and the services that it runs."""

    default_impact: ClassVar[FieldImpact | None] = TakesEffectAtOnce()

    fqdn: Annotated[
        HostName,
        Restarts("imap4", "pop3", "frontend-transport", "transport"),
        Field(description="Full name of the server: in greetings, and for the choice of certificates."),
    ]
    site: Annotated[Line | None, Field(description="Where the server stands; for people and reports.")] = None
    services: Services = Field(default_factory=Services, description="Startup type of each service.")
    drain_timeout: Annotated[
        Duration,
        Between("00:00:00", _DRAIN_LIMIT),
        Field(description="How long a restart takes to end the sessions of the old generation."),
    ] = timedelta(seconds=30)
    password_hashing: Annotated[
        PasswordHashing,
        SecurityRelevant("decides what a stolen password hash is worth"),
        Field(description="How new password hashes are made."),
    ] = PasswordHashing()
    credential_cache_time_to_live: Annotated[
        Duration,
        Between("00:00:00", "1.00:00:00"),
        SecurityRelevant("decides how long an old password may still work"),
        Field(
            description="How long a verified password is remembered, as a keyed digest in memory. 0: not at all."
        ),
    ] = timedelta(minutes=5)
    credential_cache_size: Annotated[
        Whole,
        Between(0, 10000000),
        Unit("entries"),
        Field(description="How many verified passwords are remembered."),
    ] = 10000
