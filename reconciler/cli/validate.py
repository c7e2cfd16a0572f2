"""`reconcile validate`: read and check the files; no runtime is asked, unless with --live."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.common import (
    DONE,
    ERROR,
    directory_argument,
    open_reader,
    print_diagnostics,
    print_json,
    say,
    tells_errors,
)
from reconciler.cli.formats import FINDINGS, diagnostics_format_option, print_findings
from reconciler.cli.inputs import inputs_options, load_estate
from reconciler.declared.layout import POLICIES, locate
from reconciler.declared.source import DirectorySource
from reconciler.model import Allowance, Desired, Diagnostic
from reconciler.pipeline import has_errors
from reconciler.rendering.diagnostics import diagnostics_json

if TYPE_CHECKING:
    from reconciler.declared.load import Loaded


@click.command()
@directory_argument
@inputs_options
@click.option("--live", is_flag=True, help="Ask the runtime too: ports in use, certificates, domains.")
@diagnostics_format_option
@click.pass_context
@tells_errors
def validate(ctx: click.Context, directory: Path, live: bool, output: str) -> int:
    """Check every YAML file of DIR and name all errors at once, each with its file, line and column; policies and
    waivers too, which are not asked.

    Secrets are not read and nothing is asked of a runtime, so this runs anywhere, such as before a commit. With --live
    it also warns of ports that something else holds, protocols without a certificate, and domains that nobody accepts.

    \b
      reconcile validate examples/quickstart
      reconcile validate --format json estate/ | jq '.diagnostics[].message'
      reconcile validate --environment production estate/
      reconcile validate --format sarif estate/ > findings.sarif
    """
    loaded = load_estate(ctx, directory)
    if loaded.desired is not None:
        found = tuple(_remarks(loaded.desired, directory, live=live))
        found += _preflight(ctx, loaded.desired) if live else ()
        found += tuple(_about_allowances(loaded.desired, directory, (*loaded.diagnostics, *found)))
        loaded = replace(loaded, diagnostics=(*loaded.diagnostics, *found))
    elif loaded.allowances:
        found = _unknown_allowances(loaded.allowances, directory)
        loaded = replace(loaded, diagnostics=(*loaded.diagnostics, *found))
    loaded = _with_policies(loaded, directory)
    is_bad = loaded.desired is None or has_errors(loaded.diagnostics)
    if output == "json":
        print_json(diagnostics_json(loaded.diagnostics))
        return ERROR if is_bad else DONE
    if output in FINDINGS:
        print_findings(loaded.diagnostics, output, what="validate")
        return ERROR if is_bad else DONE
    print_diagnostics(loaded.diagnostics, loaded.sources)
    if loaded.desired is None or is_bad:
        return ERROR
    say(f"{directory}: {len(loaded.desired.resources)} resources, no errors.")
    return DONE


def _remarks(desired: Desired, directory: Path, *, live: bool) -> Iterator[Diagnostic]:
    """What the files alone make doubtful; with `live` what the runtime knows better is left to it."""
    from reconciler.declared.remarks import remarks

    known_better = {"no-certificate", "unknown-domain"} if live else set()
    found = remarks(desired, DirectorySource(directory))
    return (remark for remark in found if remark.code not in known_better)


def _with_policies(loaded: Loaded, directory: Path) -> Loaded:
    """With what is wrong with the estate's own policies and waivers, as a plan tells it."""
    root, _ = locate(directory, None)
    source = DirectorySource(root)
    if POLICIES not in source.directories(root) or not source.yaml_files(root / POLICIES):
        return loaded
    from reconciler.guardrails.guard import Guard

    found = Guard().load(source)
    return replace(
        loaded,
        diagnostics=(*loaded.diagnostics, *found.diagnostics),
        sources={**loaded.sources, **found.sources},
    )


def _about_allowances(
    desired: Desired, directory: Path, found: tuple[Diagnostic, ...]
) -> Iterator[Diagnostic]:
    """What is wrong with the annotations that allow warnings; what guardrails find is not known here."""
    from reconciler.declared.allowances import of_estate, unused
    from reconciler.declared.rules import REMARKS

    if allowances := of_estate(desired):
        yield from _unknown_allowances(allowances, directory)
        yield from unused(allowances, REMARKS, {one.allowed for one in found if one.allowed is not None})


def _unknown_allowances(allowances: tuple[Allowance, ...], directory: Path) -> tuple[Diagnostic, ...]:
    from reconciler.guardrails.allowed import problems_of_files

    root, _ = locate(directory, None)
    return problems_of_files(allowances, DirectorySource(root))


def _preflight(ctx: click.Context, desired: Desired) -> tuple[Diagnostic, ...]:
    from reconciler.applying.preflight import preflight

    with open_reader(ctx) as reader:
        return preflight(desired, reader)
