"""`reconcile review`: what a pull request means, from git's objects alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict, Unpack

import click

from reconciler.cli.common import (
    CHANGES,
    DONE,
    ERROR,
    open_reader,
    print_note,
    print_text,
    state_directory,
    tells_errors,
)
from reconciler.cli.guardrails import guardrail_options
from reconciler.cli.inputs import refuse_empty
from reconciler.declared.layout import locate
from reconciler.expected import ExpectedError
from reconciler.guardrails.guard import Guard
from reconciler.model import Desired, Plan
from reconciler.planning.plan import make_plan
from reconciler.rendering.github import render_github
from reconciler.review.git import GitError, Repository
from reconciler.review.markup import marker_name
from reconciler.review.model import Review
from reconciler.review.renderings import as_diagnostics, render_markdown, render_text, review_json
from reconciler.review.review import Request, ReviewError, review_revisions
from reconciler.targets.target import Reader


class Options(TypedDict):
    """What the command line says beyond the directory."""

    base: str
    head: str
    environments: tuple[str, ...]
    settings: tuple[str, ...]
    live: bool
    output: str
    file: Path | None
    marker_id: str | None
    guard: Guard


def _named(_ctx: click.Context, _: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    for name in value:
        refuse_empty(name)
    return value


@click.command()
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--base", required=True, metavar="REVISION", help="What it is to be merged into: origin/main.")
@click.option("--head", default="HEAD", show_default=True, metavar="REVISION", help="What is to be merged.")
@click.option(
    "--environment",
    "environments",
    multiple=True,
    metavar="NAME",
    envvar="RECONCILE_ENVIRONMENT",
    show_envvar=True,
    callback=_named,
    help="Only this overlay; may be repeated. Without it all are reviewed.",
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="The value of a variable.")
@click.option("--live", is_flag=True, help="Also plan head against the live runtime.")
@click.option(
    "--format",
    "output",
    type=click.Choice(["markdown", "text", "json", "github"]),
    default="markdown",
    show_default=True,
    help="A comment, text for a terminal, data, or annotations of a GitHub workflow.",
)
@click.option("--output", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
@click.option(
    "--marker-id", metavar="ID", help="Name in the comment's hidden marker; default: the directory."
)
@guardrail_options
@click.pass_context
@tells_errors
def review(ctx: click.Context, directory: Path, **options: Unpack[Options]) -> int:
    """Say what a pull request changes in DIR: security first, guardrails, what restarts, every field.

    Head is compared with the commit where it left base, as a pull request is. Everything is read from git's objects:
    nothing is checked out, no runtime is needed and no secret is read. The comment begins with a hidden marker, by
    which a bot finds the one to update.

    Exit code 0: nothing changes in meaning; 2: something does; 1: head has errors, or a guardrail
    stands against what it brings. The shipped guardrails are asked beside those of DIR, unless --policies names others.

    \b
      reconcile review estate/ --base origin/main
      reconcile review estate/ --base origin/main --format github
    """
    try:
        found = _review(ctx, directory, options)
        _tell_uncommitted(directory, options["head"])
    except (GitError, ReviewError) as error:
        raise ExpectedError(str(error)) from error
    _show(found, options)
    return _exit_code(found)


def _review(ctx: click.Context, directory: Path, options: Options) -> Review:
    repository = Repository.holding(directory)
    request = Request(
        repository.prefix(directory),
        base=options["base"],
        head=options["head"],
        now=_today(),
        environments=options["environments"],
        variables=_variables(options["settings"]),
        guard=options["guard"],
        cache=_cache(ctx),
    )
    if not options["live"]:
        return review_revisions(repository, request)
    with open_reader(ctx) as reader:
        return review_revisions(repository, request, live=lambda head: _plan(head, reader))


def _tell_uncommitted(directory: Path, head: str) -> None:
    """Whoever reviews what is checked out may take what was not committed for a part of it; that of an overlay is its
    base's too."""
    whole = locate(directory, None)[0]
    repository = Repository.holding(whole)
    if head == "HEAD" and repository.has_uncommitted(repository.prefix(whole)):
        print_note(f"(uncommitted changes in {whole} are not reviewed)")


def _cache(ctx: click.Context) -> Path | None:
    """That of the state directory, where there is one: a review makes none."""
    state = state_directory(ctx)
    return state.cache if state.path.is_dir() else None


def _today() -> datetime:
    """The end of the day that guardrails go by: a second run of the same day says the same, and what began today has
    begun."""
    return datetime.now(UTC).replace(hour=23, minute=59, second=59, microsecond=0)


def _variables(settings: tuple[str, ...]) -> dict[str, str]:
    pairs = [setting.partition("=") for setting in settings]
    for name, sign, _ in pairs:
        if not (name and sign):
            raise click.BadParameter("expected NAME=VALUE", param_hint="--set")
    return {name: value for name, _, value in pairs}


def _plan(head: Desired, reader: Reader) -> Plan:
    """Head against what is live. No secret is read, so those that are live count as they are."""
    live = reader.observe({key: resource.spec for key, resource in head.resources.items()})
    return make_plan(head, live, digests={})


def _show(found: Review, options: Options) -> None:
    try:
        text = _rendered(found, options["output"], options["marker_id"] or marker_name(found.directory))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--marker-id") from error
    if options["file"] is None:
        print_text(text)
    else:
        _write(options["file"], text)


def _rendered(found: Review, output: str, name: str) -> str:
    match output:
        case "markdown":
            return render_markdown(found, name=name)
        case "text":
            return render_text(found)
        case "github":
            return render_github(as_diagnostics(found))
        case _:
            return json.dumps(review_json(found), indent=2) + "\n"


def _write(file: Path, text: str) -> None:
    try:
        file.write_bytes(text.encode("utf-8", errors="replace"))
    except OSError as error:
        raise ExpectedError(f"{file} cannot be written: {error.strerror}") from error


def _exit_code(found: Review) -> int:
    if found.is_refused:
        return ERROR
    return CHANGES if found.is_changed else DONE
