"""`--environment` and `--set`: what a verb says about an estate beyond its files.

The options are kept with the command's context, so that a verb takes them by its decorator alone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from reconciler.cli.common import state_directory
from reconciler.cli.guardrails import asked_directories
from reconciler.declared.ahead import Ahead, parsed_ahead, unparsed
from reconciler.declared.layout import OPTION, VARIABLE, Inputs, locate

if TYPE_CHECKING:
    from reconciler.declared.load import Loaded

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
_ENVIRONMENT, _VARIABLES = "reconciler.inputs.environment", "reconciler.inputs.variables"
_AHEAD = "reconciler.inputs.ahead"


def _keep_environment(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    refuse_empty(value)
    ctx.meta[_ENVIRONMENT] = value


def refuse_empty(name: str | None) -> None:
    """An empty name is most often a variable of a script that is not set. Raises click.BadParameter."""
    if name == "":
        raise click.BadParameter("the name is empty; name an environment, or leave the option out")


def _keep_variables(ctx: click.Context, _: click.Parameter, value: tuple[str, ...]) -> None:
    pairs = [pair.partition("=") for pair in value]
    for name, sign, _text in pairs:
        if not (name and sign):
            raise click.BadParameter("expected NAME=VALUE, such as domain=contoso.example")
    ctx.meta[_VARIABLES] = {name: text for name, _sign, text in pairs}


def inputs_options(command: CommandT) -> CommandT:
    """Adds --environment and --set."""
    environment = click.option(
        OPTION,
        metavar="NAME",
        envvar=VARIABLE,
        show_envvar=True,
        expose_value=False,
        callback=_keep_environment,
        help="Which of DIR/overlays counts.",
    )
    variables = click.option(
        "--set",
        multiple=True,
        metavar="NAME=VALUE",
        expose_value=False,
        callback=_keep_variables,
        help="The value of a variable. Repeatable.",
    )
    return environment(variables(command))


def inputs_of(ctx: click.Context) -> Inputs:
    """What --environment, --set and --policies say; nothing in verbs that have not got them. Raises
    EnvironmentClashError when the directory of the verb is the overlay of another environment."""
    environment: str | None = ctx.meta.get(_ENVIRONMENT)
    for name in ("directory", "estate", "existing"):
        directory = ctx.params.get(name)
        if isinstance(directory, Path) and directory.is_dir():
            locate(directory, environment, said=said_by(ctx))
    return Inputs(environment, ctx.meta.get(_VARIABLES, {}), asked_directories(ctx))


def said_by(ctx: click.Context) -> str:
    """Where the name of the environment comes from: the option, or the variable."""
    is_variable = ctx.get_parameter_source("environment") is ParameterSource.ENVIRONMENT
    return VARIABLE if is_variable else OPTION


def load_estate(ctx: click.Context, directory: Path) -> Loaded:
    """What the files of the directory say, with these options, by way of the cache."""
    inputs, ahead = inputs_of(ctx), ahead_of(ctx, directory)
    from reconciler.declared.load import load

    return load(
        directory,
        cache=state_directory(ctx).cache,
        environment=inputs.environment,
        variables=inputs.variables,
        policies=inputs.policies,
        ahead=ahead,
    )


def ahead_of(ctx: click.Context, directory: Path) -> Ahead:
    """What is parsed elsewhere of a directory that no former run has parsed, from the first call to the verb's end."""
    started: dict[Path, Ahead] = ctx.meta.setdefault(_AHEAD, {})
    if directory not in started:
        files = unparsed(state_directory(ctx).cache, directory, inputs_of(ctx).environment)
        started[directory] = ctx.with_resource(parsed_ahead(files))
    return started[directory]
