"""`reconcile policy`: list guardrails, try them on their tests, hold them against files. No runtime is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.common import (
    DONE,
    ERROR,
    directory_argument,
    format_option,
    print_diagnostics,
    print_json,
    print_note,
    print_text,
    say,
    tells_errors,
)
from reconciler.cli.guardrails import guardrail_options
from reconciler.cli.inputs import inputs_of, inputs_options, load_estate
from reconciler.pipeline import has_errors
from reconciler.rendering.diagnostics import diagnostics_json
from reconciler.rendering.text import count

if TYPE_CHECKING:
    from reconciler.guardrails.guard import Guard
    from reconciler.guardrails.policy import PolicySet

_optional_directory = click.argument(
    "directory",
    metavar="[DIR]",
    required=False,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)


@click.group()
def policy() -> None:
    """Guardrails: rules that a plan is held against before it is applied.

    They are YAML with CEL expressions, in the directory `policies` of an estate; a pack of them is shipped and may be
    copied from. docs/guardrails.md explains each rule and how to write one.

    \b
      reconcile policy list                    the shipped rules
      reconcile policy check estate/           hold them against the files
      reconcile policy test estate/policies    run the tests beside your own
    """


@policy.command("list")
@_optional_directory
@format_option
@tells_errors
def list_(directory: Path | None, output: str) -> int:
    """List the policies of DIR, or the shipped ones.

    \b
      reconcile policy list
      reconcile policy list --format json estate/policies
    """
    policies = _load(directory)
    if output == "json":
        print_json(
            {
                "policies": _rows(policies),
                "waiversNotUsed": _waivers_not_used(policies),
                **diagnostics_json(policies.diagnostics),
            }
        )
    else:
        print_diagnostics(policies.diagnostics, policies.sources)
        width = max((len(row["id"]) for row in _rows(policies)), default=0)
        for row in _rows(policies):
            say(f"{row['severity']:7}  {row['id']:{width}}  {row['title']}")
        for name in _waivers_not_used(policies):
            say(f"waiver   {name:{width}}  Of a shipped policy: used where that is asked")
    return ERROR if has_errors(policies.diagnostics) else DONE


@policy.command("test")
@_optional_directory
@format_option
@tells_errors
def test(directory: Path | None, output: str) -> int:
    """Run the tests that stand beside the policies of DIR, or of the shipped ones.

    A test gives a small estate and says whether the policy passes or fails; the real planner makes the plan. It may be
    about a shipped policy, whether or not a plan asks that. A policy of DIR without a case of each is told.

    \b
      reconcile policy test
      reconcile policy test estate/policies
    """
    from reconciler.guardrails.files import with_tested
    from reconciler.guardrails.trials import run_trials, untested

    policies = _load(directory)
    lacking = untested(policies)
    policies = with_tested(policies)
    ran = run_trials(policies)
    problems = (*policies.diagnostics, *(one.problem for one in ran if one.problem is not None))
    if output == "json":
        print_json({"cases": len(ran), "untested": list(lacking), **diagnostics_json(problems)})
        return ERROR if problems else DONE
    print_diagnostics(problems, policies.sources)
    for name in lacking:
        print_note(f"{name} lacks a case that passes, or one that fails.")
    failed = sum(one.problem is not None for one in ran)
    say(f"{count(len(policies.policies), 'policy')}, {count(len(ran), 'case')}, {failed} failed.")
    return ERROR if problems else DONE


@policy.command("check")
@directory_argument
@inputs_options
@guardrail_options
@format_option
@click.pass_context
@tells_errors
def check(ctx: click.Context, directory: Path, guard: Guard, output: str) -> int:
    """Hold the files of DIR against its policies, or the shipped ones when it has none. No runtime is asked.

    Rules about resources are looked at; those about a plan (restarts, deletions) need `reconcile plan`.

    \b
      reconcile policy check examples/quickstart
      reconcile policy check --policies shipped --label environment=production estate/
    """
    from reconciler.guardrails.static import judge_files
    from reconciler.rendering.guardrails_json import waived_text

    loaded = load_estate(ctx, directory)
    if loaded.desired is None or has_errors(loaded.diagnostics):
        problems, sources, waived = loaded.diagnostics, loaded.sources, ""
    else:
        judged = judge_files(
            loaded.desired, directory, replace(guard, environment=inputs_of(ctx).environment)
        )
        problems, sources = judged.verdict.diagnostics, judged.sources
        waived = waived_text(judged.verdict)
    if output == "json":
        print_json(diagnostics_json(problems))
        return ERROR if has_errors(problems) else DONE
    print_diagnostics(problems, sources)
    print_text(waived, err=True) if waived else None
    if not problems:
        say(f"{directory}: nothing stands against it.")
    return ERROR if has_errors(problems) else DONE


def _load(directory: Path | None) -> PolicySet:
    from reconciler.guardrails.files import SHIPPED, combine, load_policies

    return combine(load_policies(directory or SHIPPED))


def _waivers_not_used(policies: PolicySet) -> list[str]:
    """The policies of waivers that are not among these: shipped ones, or there is an error."""
    return sorted({one.policy for one in policies.waivers} - {one.id for one in policies.policies})


def _rows(policies: PolicySet) -> list[dict[str, Any]]:
    return [
        {
            "id": one.id,
            "severity": one.severity.value,
            "title": one.title,
            "each": one.match.scope.value,
            "kinds": list(one.match.kinds),
            "docs": one.docs,
            "file": str(one.position.file),
        }
        for one in sorted(policies.policies, key=lambda one: one.id)
    ]
