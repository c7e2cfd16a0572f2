"""What can be declared and is kept and planned, but that the runtime does not act on yet: one table, to be emptied.

`facts.py` reads it, so explain, the JSON Schemas and the reference all say "declared, not yet enforced" of the same
fields. A field that the runtime learns to act on is taken out here in the same change.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_POP_AND_IMAP = frozenset(
    {
        "calendarItemRetrievalOption",
        "enableExactRFC822Size",
        "enableGSSAPIAndNTLMAuth",
        "enforceCertificateErrors",
        "extendedProtectionPolicy",
        "externalConnectionSettings",
        "internalConnectionSettings",
        "messageRetrievalMimeFormat",
        "owaServerUrl",
        "suppressReadReceipt",
    }
)

_RECEIVE_CONNECTOR = frozenset(
    {
        "advertiseClientSettings",
        "binaryMimeEnabled",
        "deliveryStatusNotificationEnabled",
        "domainSecureEnabled",
        "enableAuthGSSAPI",
        "extendedProtectionPolicy",
        "maxAcknowledgementDelay",
        "orarEnabled",
        "serviceDiscoveryFqdn",
        "smtpUtf8Enabled",
        "suppressXAnonymousTls",
        "tlsCertificateName",
        "tlsDomainCapabilities",
    }
)

_THROTTLING_POLICY = frozenset(
    {
        "cpaCutoffBalance",
        "cpaMaxBurst",
        "cpaMaxConcurrency",
        "cpaRechargeRate",
        "forwardeeLimit",
        "imapCutoffBalance",
        "imapMaxBurst",
        "imapMaxConcurrency",
        "imapRechargeRate",
        "isServiceAccount",
        "messageRateLimit",
        "popCutoffBalance",
        "popMaxBurst",
        "popMaxConcurrency",
        "popRechargeRate",
        "recipientRateLimit",
        "throttlingPolicyScope",
    }
)

_MAILBOX_DATABASE = frozenset(
    {
        "calendarLoggingQuota",
        "circularLoggingEnabled",
        "deletedItemRetention",
        "edbFilePath",
        "eventHistoryRetentionPeriod",
        "indexEnabled",
        "isExcludedFromProvisioning",
        "isSuspendedFromProvisioning",
        "issueWarningQuota",
        "journalRecipient",
        "logFolderPath",
        "mailboxRetention",
        "mountAtStartup",
        "offlineAddressBook",
        "prohibitSendQuota",
        "prohibitSendReceiveQuota",
        "recoverableItemsQuota",
        "recoverableItemsWarningQuota",
        "retainDeletedItemsUntilBackup",
    }
)

_MAILBOX = frozenset(
    {
        "acceptMessagesOnlyFrom",
        "acceptMessagesOnlyFromDLMembers",
        "acceptMessagesOnlyFromSendersOrMembers",
        "antispamBypassEnabled",
        "deliverToMailboxAndForward",
        "forwardingAddress",
        "forwardingSmtpAddress",
        "grantSendOnBehalfTo",
        "hiddenFromAddressListsEnabled",
        "imapEnableExactRFC822Size",
        "imapForceICalForCalendarRetrievalOption",
        "imapMessagesRetrievalMimeFormat",
        "imapSuppressReadReceipt",
        "imapUseProtocolDefaults",
        "issueWarningQuota",
        "maxReceiveSize",
        "maxSendSize",
        "messageCopyForSentAsEnabled",
        "popEnableExactRFC822Size",
        "popForceICalForCalendarRetrievalOption",
        "popMessagesRetrievalMimeFormat",
        "popSuppressReadReceipt",
        "popUseProtocolDefaults",
        "prohibitSendQuota",
        "prohibitSendReceiveQuota",
        "recipientLimits",
        "requireSenderAuthenticationEnabled",
        "retainDeletedItemsFor",
        "sclJunkThreshold",
        "throttlingPolicy",
        "useDatabaseQuotaDefaults",
        "useDatabaseRetentionDefaults",
    }
)

#: Kind → YAML paths.
NOT_YET_ENFORCED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "AcceptedDomain": frozenset({"addressBookEnabled", "makeDefault"}),
        "ImapSettings": _POP_AND_IMAP | {"showHiddenFoldersEnabled"},
        "Mailbox": _MAILBOX,
        "MailboxDatabase": _MAILBOX_DATABASE,
        "PopSettings": _POP_AND_IMAP,
        "ReceiveConnector": _RECEIVE_CONNECTOR,
        "ThrottlingPolicy": _THROTTLING_POLICY,
    }
)
