"""`MailboxDatabase`: where mailboxes lie, and their quotas by default (New- and Set-MailboxDatabase)."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import Field

from schemas.v1.base import Exchange, FieldImpact, Reference, SecurityRelevant, Spec, TakesEffectAtOnce, Unit
from schemas.v1.quotas import MAX_QUOTA, at_most
from schemas.v1.types import GB, Between, Duration, Flag, Line, SizeLimit, Text

_LONGEST = "24855.03:14:07"


class MailboxDatabase(Spec):
    """One database on one server."""

    default_impact: ClassVar[FieldImpact | None] = TakesEffectAtOnce()

    server: Annotated[
        Line, Reference("Server"), Exchange("Server"), Field(description="The server that owns the database.")
    ]
    issue_warning_quota: Annotated[
        SizeLimit,
        Between(None, MAX_QUOTA),
        Unit("bytes"),
        Exchange("IssueWarningQuota"),
        Field(description="Mailbox size at which its user is warned."),
    ] = 2039480320
    prohibit_send_quota: Annotated[
        SizeLimit,
        Between(None, MAX_QUOTA),
        Unit("bytes"),
        Exchange("ProhibitSendQuota"),
        Field(description="Mailbox size at which sending is refused."),
    ] = 2147483648
    prohibit_send_receive_quota: Annotated[
        SizeLimit,
        Between(None, MAX_QUOTA),
        Unit("bytes"),
        Exchange("ProhibitSendReceiveQuota"),
        Field(description="Mailbox size at which delivery is refused too."),
    ] = 2469396480
    recoverable_items_quota: Annotated[
        SizeLimit,
        Between(None, MAX_QUOTA),
        Unit("bytes"),
        Exchange("RecoverableItemsQuota"),
        Field(description="Most that the recoverable items of a mailbox may take."),
    ] = 30 * GB
    recoverable_items_warning_quota: Annotated[
        SizeLimit,
        Between(None, MAX_QUOTA),
        Unit("bytes"),
        Exchange("RecoverableItemsWarningQuota"),
        Field(description="Size of the recoverable items at which a warning is given."),
    ] = 20 * GB
    calendar_logging_quota: Annotated[
        SizeLimit,
        Between(None, MAX_QUOTA),
        Unit("bytes"),
        Exchange("CalendarLoggingQuota"),
        Field(description="Most that the record of calendar changes may take."),
    ] = 6 * GB
    deleted_item_retention: Annotated[
        Duration,
        Between("00:00:00", _LONGEST),
        Exchange("DeletedItemRetention"),
        Field(description="How long deleted items can be brought back."),
    ] = timedelta(days=14)
    mailbox_retention: Annotated[
        Duration,
        Between("00:00:00", _LONGEST),
        Exchange("MailboxRetention"),
        Field(description="How long a deleted mailbox is kept."),
    ] = timedelta(days=30)
    event_history_retention_period: Annotated[
        Duration,
        Between("00:00:01", "30.00:00:00"),
        Exchange("EventHistoryRetentionPeriod"),
        Field(description="How long the history of events is kept."),
    ] = timedelta(days=7)
    mount_at_startup: Annotated[
        Flag, Exchange("MountAtStartup"), Field(description="Mount the database when the server starts.")
    ] = True
    circular_logging_enabled: Annotated[
        Flag,
        Exchange("CircularLoggingEnabled"),
        Field(description="Reuse transaction logs once they are committed."),
    ] = False
    index_enabled: Annotated[
        Flag, Exchange("IndexEnabled"), Field(description="Index mailboxes for search.")
    ] = True
    journal_recipient: Annotated[
        Line | None,
        SecurityRelevant("receives a copy of every message"),
        Exchange("JournalRecipient"),
        Field(description="Recipient of a journal report for each message of the database."),
    ] = None
    offline_address_book: Annotated[
        Line | None,
        Exchange("OfflineAddressBook"),
        Field(description="Offline address book of its mailboxes."),
    ] = None
    is_excluded_from_provisioning: Annotated[
        Flag,
        Exchange("IsExcludedFromProvisioning"),
        Field(description="Never chosen when a mailbox is placed automatically."),
    ] = False
    is_suspended_from_provisioning: Annotated[
        Flag,
        Exchange("IsSuspendedFromProvisioning"),
        Field(description="Not chosen for now when a mailbox is placed automatically."),
    ] = False
    retain_deleted_items_until_backup: Annotated[
        Flag,
        Exchange("RetainDeletedItemsUntilBackup"),
        Field(description="Keep deleted items until the database has been backed up."),
    ] = False
    edb_file_path: Annotated[
        Text | None,
        Exchange("EdbFilePath"),
        Field(description="The database file. Null: in the server's own directory."),
    ] = None
    log_folder_path: Annotated[
        Text | None,
        Exchange("LogFolderPath"),
        Field(description="Directory of transaction logs. Null: in the server's own directory."),
    ] = None

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from at_most(self, "issue_warning_quota", "prohibit_send_receive_quota")
        yield from at_most(self, "prohibit_send_quota", "prohibit_send_receive_quota")
        yield from at_most(self, "recoverable_items_warning_quota", "recoverable_items_quota")
        yield from at_most(self, "calendar_logging_quota", "recoverable_items_quota")
