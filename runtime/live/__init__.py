"""The live configuration: resources with a revision each, in one SQLite file.

`LiveStore` writes it and belongs to the supervisor alone; `LiveReader` is what the hosts open, read-only.
"""

from runtime.live.forget import ForgottenError, old_versions
from runtime.live.names import NameTakenError
from runtime.live.reader import LiveReader
from runtime.live.resource import Changes, LiveConfigurationError, LiveResource, MailboxRename
from runtime.live.store import (
    Author,
    ConflictError,
    Draft,
    LiveStore,
    NoSuchVersionError,
    ProtectedError,
)

__all__ = [
    "Author",
    "Changes",
    "ConflictError",
    "Draft",
    "ForgottenError",
    "LiveConfigurationError",
    "LiveReader",
    "LiveResource",
    "LiveStore",
    "MailboxRename",
    "NameTakenError",
    "NoSuchVersionError",
    "ProtectedError",
    "old_versions",
]
