"""What `plan`, `apply` and `policy` share about guardrails: the options, telling what was found, refusing.

The guardrails themselves are imported when a verb that needs them is run.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from reconciler.cli.common import (
    print_diagnostics,
    print_text,
)
from reconciler.declared.layout import ASKED_OPTION, ASKED_VARIABLE
from reconciler.expected import ExpectedError

if TYPE_CHECKING:
    from reconciler.guardrails.guard import Guard
    from reconciler.pipeline import Planned

P = ParamSpec("P")
R = TypeVar("R")

_POLICIES_HELP = 'Policies to use beside those in DIR/policies: a directory, or "shipped". May be repeated.'
_LABEL_HELP = "A label for every resource that has no such label itself, such as environment=production."


def guardrail_options(verb: Callable[P, R]) -> Callable[P, R]:
    """Give a verb --policies and --label, and one argument `guard` made of them."""

    @click.option(
        ASKED_OPTION,
        multiple=True,
        metavar="DIR|shipped",
        envvar=ASKED_VARIABLE,
        show_envvar=True,
        help=_POLICIES_HELP,
    )
    @click.option(
        "--label",
        "labels",
        multiple=True,
        metavar="KEY=VALUE",
        envvar="RECONCILE_LABELS",
        help=_LABEL_HELP,
    )
    @functools.wraps(verb)
    def with_guard(*args: P.args, **kwargs: P.kwargs) -> R:
        policies = kwargs.pop("policies")
        kwargs["guard"] = _guard(policies, kwargs.pop("labels"))  # type: ignore[arg-type]
        return verb(*args, **kwargs)

    return with_guard


def _guard(policies: tuple[str, ...], labels: tuple[str, ...]) -> Guard:
    from reconciler.guardrails.guard import Guard

    pairs = [label.partition("=") for label in labels]
    for key, sign, _ in pairs:
        if not (key and sign):
            raise click.BadParameter(
                "expected KEY=VALUE, such as environment=production", param_hint="--label"
            )
    return Guard(policies, {key: value for key, _, value in pairs})


def asked_directories(ctx: click.Context) -> tuple[Path, ...]:
    """The directories of policies that the run names: by the option, or, in verbs that have none, by the variable."""
    named = ctx.params.get("policies", os.environ.get(ASKED_VARIABLE, "").split())
    if not named:
        return ()
    from reconciler.guardrails.guard import Guard

    return Guard(tuple(named)).directories


def tell_findings(planned: Planned) -> None:
    """What stands against the plan, and what is waived, on standard error."""
    from reconciler.rendering.guardrails_json import waived_text

    verdict = planned.judged.verdict
    print_diagnostics(verdict.diagnostics, planned.judged.sources)
    if text := waived_text(verdict):
        print_text(text, err=True)


def refuse_blocked(planned: Planned) -> None:
    """Raise ExpectedError when a guardrail stands against the plan."""
    if planned.judged.verdict.is_blocking:
        raise ExpectedError(
            "the guardrails above stand against this plan and nothing was changed: correct what they point at, "
            "or add a Waiver with the reason and its last day to the directory policies"
        )
