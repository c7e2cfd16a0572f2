"""`ThrottlingPolicy`: budgets and rates of users (New- and Set-ThrottlingPolicy, Exchange 2013 and later).

Where Exchange's documents name no default, it is the value that the Global policy of an installed server was seen to
hold. A budget is time in milliseconds that a user's work may take; it refills at the recharge rate. Unlimited, or null,
means no limit. Policies of protocols that this estate does not run (EWS, ActiveSync, …) and the PercentTimeIn*
parameters of Exchange 2010 are not declared here.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from schemas.v1.base import Exchange, FieldImpact, SecurityRelevant, Spec, TakesEffectAtOnce, Unit
from schemas.v1.scalar import Words
from schemas.v1.types import INT32, UINT32, UNLIMITED, Between, Flag, NullableLimit


class ThrottlingPolicyScope(Words):
    """Whom a policy is for: mailboxes that name it, everybody, or everybody that no other policy covers."""

    REGULAR = "Regular"
    ORGANIZATION = "Organization"
    GLOBAL = "Global"


class ThrottlingPolicy(Spec):
    """How much of the servers a user may take."""

    default_impact: ClassVar[FieldImpact | None] = TakesEffectAtOnce()

    throttling_policy_scope: Annotated[
        ThrottlingPolicyScope,
        Exchange("ThrottlingPolicyScope"),
        Field(
            description="Regular: for mailboxes that name it. Organization: for all. Global: the last resort."
        ),
    ] = ThrottlingPolicyScope.REGULAR
    is_service_account: Annotated[
        Flag,
        Exchange("IsServiceAccount"),
        Field(description="For accounts with high limits, which give way when a server is in trouble."),
    ] = False
    pop_max_concurrency: Annotated[
        NullableLimit,
        Between(0, INT32),
        Unit("connections"),
        SecurityRelevant("limits what one account can take"),
        Exchange("PopMaxConcurrency"),
        Field(description="Requests of a POP user at one time; one more fails."),
    ] = 20
    pop_max_burst: Annotated[
        NullableLimit,
        Between(0, UINT32),
        Unit("ms"),
        Exchange("PopMaxBurst"),
        Field(description="Time that the work of a POP user may take at full speed."),
    ] = 3600000
    pop_recharge_rate: Annotated[
        NullableLimit,
        Between(0, UINT32),
        Unit("ms/hour"),
        Exchange("PopRechargeRate"),
        Field(description="Time that a POP user wins back in an hour."),
    ] = 600000
    pop_cutoff_balance: Annotated[
        NullableLimit,
        Between(0, UINT32),
        Unit("ms"),
        Exchange("PopCutoffBalance"),
        Field(description="Overdraft at which a POP user is locked out until time is won back."),
    ] = UNLIMITED
    imap_max_concurrency: Annotated[
        NullableLimit,
        Between(0, INT32),
        Unit("connections"),
        SecurityRelevant("limits what one account can take"),
        Exchange("ImapMaxConcurrency"),
        Field(description="Requests of an IMAP user at one time; one more fails."),
    ] = UNLIMITED
    imap_max_burst: Annotated[
        NullableLimit,
        Between(0, UINT32),
        Unit("ms"),
        Exchange("ImapMaxBurst"),
        Field(description="Time that the work of an IMAP user may take at full speed."),
    ] = 3600000
    imap_recharge_rate: Annotated[
        NullableLimit,
        Between(0, UINT32),
        Unit("ms/hour"),
        Exchange("ImapRechargeRate"),
        Field(description="Time that an IMAP user wins back in an hour."),
    ] = 600000
    imap_cutoff_balance: Annotated[
        NullableLimit,
        Between(0, UINT32),
        Unit("ms"),
        Exchange("ImapCutoffBalance"),
        Field(description="Overdraft at which an IMAP user is locked out until time is won back."),
    ] = UNLIMITED
    cpa_max_concurrency: Annotated[
        NullableLimit,
        Between(0, INT32),
        Unit("connections"),
        Exchange("CpaMaxConcurrency"),
        Field(description="Requests of a cross-premises user at one time; one more fails."),
    ] = 20
    cpa_max_burst: Annotated[
        NullableLimit,
        Between(0, UINT32),
        Unit("ms"),
        Exchange("CpaMaxBurst"),
        Field(description="Time that the work of a cross-premises user may take at full speed."),
    ] = UNLIMITED
    cpa_recharge_rate: Annotated[
        NullableLimit,
        Between(0, UINT32),
        Unit("ms/hour"),
        Exchange("CpaRechargeRate"),
        Field(description="Time that a cross-premises user wins back in an hour."),
    ] = UNLIMITED
    cpa_cutoff_balance: Annotated[
        NullableLimit,
        Between(0, UINT32),
        Unit("ms"),
        Exchange("CpaCutoffBalance"),
        Field(description="Overdraft at which a cross-premises user is locked out until time is won back."),
    ] = UNLIMITED
    message_rate_limit: Annotated[
        NullableLimit,
        Between(0, UINT32),
        Unit("messages/minute"),
        SecurityRelevant("limits what one account can send"),
        Exchange("MessageRateLimit"),
        Field(description="Messages that a user of POP or IMAP may submit in a minute."),
    ] = UNLIMITED
    recipient_rate_limit: Annotated[
        NullableLimit,
        Between(0, UINT32),
        Unit("recipients/24 hours"),
        SecurityRelevant("limits what one account can send"),
        Exchange("RecipientRateLimit"),
        Field(description="Recipients that a user may address in a day, inside and outside."),
    ] = UNLIMITED
    forwardee_limit: Annotated[
        NullableLimit,
        Between(0, UINT32),
        Unit("recipients"),
        Exchange("ForwardeeLimit"),
        Field(description="Recipients that the Inbox rules of a user may forward to."),
    ] = UNLIMITED
