"""`reconcile daemon`: watch a directory or a git reference, tell drift and what is pending, heal what it may."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
from pydantic import JsonValue

from reconciler.applying.apply import Applier
from reconciler.applying.history import Author
from reconciler.applying.hold import active
from reconciler.applying.verify import Verifier
from reconciler.cli.common import (
    DONE,
    ERROR,
    current_user,
    open_target,
    say,
    state_directory,
    tells_errors,
)
from reconciler.cli.environment import HOW_TO_SWITCH, other_environment
from reconciler.cli.guarded import origin_of, origin_of_reference
from reconciler.cli.guardrails import guardrail_options
from reconciler.cli.inputs import inputs_of, inputs_options, said_by
from reconciler.daemon import service
from reconciler.daemon.feed import DirectoryFeed, Feed, GitFeed
from reconciler.daemon.follow import following
from reconciler.daemon.lease import TTL, Lease
from reconciler.daemon.ledger import Ledger, Patience, ask_release
from reconciler.daemon.log import ndjson_log, text_log
from reconciler.daemon.loop import Loop, Outside, Wish
from reconciler.daemon.rounds import Healing, Tell
from reconciler.daemon.systemd import ServiceManager
from reconciler.declared.layout import locate
from reconciler.expected import ExpectedError
from reconciler.model import Diagnostic, Severity
from reconciler.pipeline import Planned
from reconciler.review.git import GitError, Repository
from reconciler.secret import SecretRef, resolve
from reconciler.state import StateDirectory
from reconciler.verdict import Judged, Verdict
from schemas.v1.kinds import KINDS

if TYPE_CHECKING:
    from reconciler.guardrails.guard import Guard

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
#: Seconds that webhook messages get at the end.
LAST_WORDS = 3.0


class Seconds(click.ParamType[float]):
    """ "60s", "5m", "1h" or seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds as a float above 0."""
        text = str(value)
        number, unit = (text[:-1], _UNITS[text[-1]]) if text[-1:] in _UNITS else (text, 1.0)
        try:
            seconds = float(number) * unit
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            self.fail(f"{text!r} is no duration: expected one such as 60s, 5m or 1h", param, ctx)
        return seconds


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of one daemon."""

    directory: Path
    git_ref: str | None
    repository: Path | None
    fetch_interval: float
    mode: str
    heal_kinds: tuple[str, ...]
    interval: float
    listen: str | None
    webhook: str | None
    webhook_secret_ref: str | None
    log_format: str
    waits: bool
    lease_ttl: float
    guard: Guard


@click.command()
@click.argument(
    "directory", metavar="[DIR]", required=False, type=click.Path(file_okay=False, path_type=Path)
)
@click.option(
    "--git-ref",
    metavar="REF",
    help="Follow this reference, such as origin/main, instead of the files on disk.",
)
@click.option(
    "--repository",
    metavar="PATH",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The clone that holds --git-ref; DIR is then a path in it. Default: the one that DIR lies in.",
)
@click.option(
    "--fetch-interval", type=Seconds(), default="60s", show_default=True, help="How often to fetch --git-ref."
)
@click.option(
    "--mode",
    type=click.Choice(["report", "heal"]),
    default="report",
    show_default=True,
    help="report: only tell; heal: apply.",
)
@click.option(
    "--heal-kind",
    "heal_kinds",
    metavar="KIND",
    multiple=True,
    type=click.Choice(list(KINDS)),
    help="Heal this kind alone; may be repeated. Default: every kind.",
)
@click.option(
    "--interval", type=Seconds(), default="60s", show_default=True, help="How often to look for drift."
)
@click.option(
    "--listen", metavar="ADDRESS", help="Serve /metrics, /healthz and /readyz here, e.g. 127.0.0.1:9464."
)
@click.option(
    "--webhook", metavar="URL", help="Send each event here as signed JSON; needs --webhook-secret-ref."
)
@click.option(
    "--webhook-secret-ref", metavar="REF", help="Where the signing secret lies: env:NAME or file:PATH."
)
@inputs_options
@guardrail_options
@click.option(
    "--log-format",
    type=click.Choice(["text", "ndjson"]),
    default="text",
    show_default=True,
    help="text: lines on standard error; ndjson: one JSON object an event on standard output.",
)
@click.option("--no-wait", is_flag=True, help="End with exit code 1 when another daemon works on this state.")
@click.option(
    "--lease-ttl",
    type=Seconds(),
    default=f"{TTL:g}s",
    show_default=True,
    help="After so long without a sign of life another daemon takes over.",
)
@click.option(
    "--release", metavar="GLOB", help="Ask the running daemon to heal Kind/name again (or: all), and end."
)
@click.pass_context
@tells_errors
def daemon(
    ctx: click.Context, /, directory: Path | None, no_wait: bool, release: str | None, **options: Any
) -> int:
    """Watch what DIR declares and what is live; tell what drifted and what is pending, or heal it.

    Broken files keep the last good configuration. Of two daemons on one state one works and one stands by. SIGHUP: look
    now; SIGTERM: end after the current write.

    \b
      reconcile daemon estate/
      reconcile daemon --mode heal --heal-kind ImapSettings --heal-kind PopSettings estate/
      reconcile daemon --git-ref origin/main --repository /srv/mail-estate estate --listen 127.0.0.1:9464
      reconcile daemon --release 'ImapSettings/*'
    """
    state = state_directory(ctx)
    if release is not None:
        ask_release(state.daemon, release)
        say(f"The daemon is asked to heal {release} again.")
        return DONE
    if directory is None:
        raise ExpectedError("name the directory to watch: `reconcile daemon DIR`")
    settings = Settings(directory=directory, waits=not no_wait, **options)
    if settings.heal_kinds and settings.mode != "heal":
        raise ExpectedError("--heal-kind needs --mode heal: in the mode report nothing is changed")
    try:
        return _Daemon(ctx, state, settings).run()
    except (service.HeldError, GitError) as error:
        raise ExpectedError(str(error)) from error


class _Daemon:
    """All parts of one daemon, put together and taken apart."""

    def __init__(self, ctx: click.Context, state: StateDirectory, settings: Settings) -> None:
        self._ctx = ctx
        self._state = state
        inside = settings.repository / settings.directory if settings.repository else settings.directory
        directory, environment = locate(inside, inputs_of(ctx).environment, said=said_by(ctx))
        self._settings = replace(settings, directory=directory)
        self._inputs = replace(inputs_of(ctx), environment=environment)
        self._wish = Wish()
        self._manager = ServiceManager()

    def run(self) -> int:
        self._state.make()
        feed = make_feed(self._settings, self._state)
        lease = Lease(self._state.daemon, ttl=self._settings.lease_ttl)
        with ExitStack() as stack, on_signals(self._wish):
            tell = self._teller(stack)
            beat = self._manager.beat
            is_ours = service.take_lease(
                lease, wish=self._wish, tell=tell, waits=self._settings.waits, beat=beat
            )
            if not is_ours:
                return DONE
            loop = self._loop(feed, lease, tell, stack)
            return DONE if service.serve(loop, lease, tell=tell) else ERROR

    def _loop(self, feed: Feed, lease: Lease, tell: Tell, stack: ExitStack) -> Loop:
        target = stack.enter_context(open_target(self._ctx))
        return following(
            feed,
            Applier(target, self._state, Author(current_user()), Verifier(target)),
            self._inputs,
            holds=lambda: active(self._state.holds),
            healing=self._healing(feed),
            tell=tell,
            outside=Outside(
                self._wish, self._settings.interval, lease.check, self._manager.beat, self._state.daemon
            ),
        )

    def _healing(self, feed: Feed) -> Healing | None:
        if self._settings.mode != "heal":
            return None
        guard = replace(self._settings.guard, environment=self._inputs.environment)
        return Healing(
            Ledger(self._state.daemon / "ledger.json", Patience()),
            kinds=frozenset(self._settings.heal_kinds),
            judge=lambda planned: judged(planned, feed, guard, history=self._state.history),
            origin=self._origin(guard),
        )

    def _origin(self, guard: Guard) -> Mapping[str, JsonValue]:
        directory, ref = self._settings.directory, self._settings.git_ref
        if ref is None:
            return origin_of(guard, directory)
        return origin_of_reference(guard, ref, directory, self._settings.repository or directory)

    def _teller(self, stack: ExitStack) -> Tell:
        """The log first: it may say why one of the others does not work."""
        settings = self._settings
        is_text = settings.log_format == "text"
        tellers: list[Tell] = [text_log(sys.stderr) if is_text else ndjson_log(sys.stdout)]
        logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(message)s", level=logging.WARNING)
        if settings.listen or settings.webhook:
            from reconciler.daemon.metrics import Metrics

            metrics = Metrics(longest_silence=3 * settings.interval + 60)
            tellers.append(metrics.take)
            if settings.listen:
                stack.callback(_listen(settings.listen, metrics))
            if settings.webhook:
                tellers.append(
                    _webhook(
                        settings,
                        self._inputs.environment,
                        stack=stack,
                        count=lambda what: metrics.deliveries.labels(what).inc(),
                    )
                )
        tellers.append(service.tell_manager(self._manager))
        return service.fan_out(tellers)


def judged(planned: Planned, feed: Feed, guard: Guard, *, history: Path) -> Judged:
    """What the policies of the estate, and those asked for, say of the plan; nothing but an error when what is live is
    of another environment, which nobody but `apply` changes."""
    if (wrong := other_environment(history, guard.environment)) is not None:
        problem = Diagnostic("other-environment", Severity.ERROR, wrong, hint=HOW_TO_SWITCH)
        return Judged(Verdict(problems=(problem,)))
    with feed.open() as source:
        return guard.judge(planned, source)


def make_feed(settings: Settings, state: StateDirectory) -> Feed:
    if settings.git_ref is None:
        if settings.repository is not None:
            raise ExpectedError("--repository needs --git-ref: which reference of it is to be followed?")
        return DirectoryFeed(settings.directory, state=state.path)
    repository = Repository.holding(settings.repository or settings.directory)
    directory = repository.prefix(settings.directory)
    return GitFeed(repository, settings.git_ref, directory=directory, interval=settings.fetch_interval)


def _listen(address: str, metrics: Any) -> Callable[[], None]:
    from reconciler.daemon.endpoint import Endpoint, parse_address

    try:
        endpoint = Endpoint(*parse_address(address), metrics)
    except (OSError, ValueError) as error:
        raise ExpectedError(f"--listen {address}: {error}") from error
    return endpoint.close


def _webhook(
    settings: Settings, environment: str | None, *, stack: ExitStack, count: Callable[[str], None]
) -> Tell:
    from reconciler.daemon.webhook import Webhook, WebhookError

    source, _, location = (settings.webhook_secret_ref or "").partition(":")
    if source not in ("env", "file") or not location:
        raise ExpectedError("--webhook needs --webhook-secret-ref env:NAME or file:PATH: messages are signed")
    secret = resolve(SecretRef("env" if source == "env" else "file", location))
    facts = {"directory": str(settings.directory), "environment": environment or ""}
    try:
        webhook = Webhook(str(settings.webhook), secret, facts=facts, count=count)
    except WebhookError as error:
        raise ExpectedError(str(error)) from error
    stack.callback(lambda: webhook.close(within=LAST_WORDS))
    return webhook.take


@contextmanager
def on_signals(wish: Wish) -> Iterator[None]:
    """SIGTERM and SIGINT end it after the current write, a second SIGINT at once; SIGHUP asks for a round."""

    def end(number: int, _frame: FrameType | None) -> None:
        if wish.stop and number == signal.SIGINT:
            raise KeyboardInterrupt
        wish.ask_stop()

    def look(_number: int, _frame: FrameType | None) -> None:
        wish.ask_now()

    handlers = {signal.SIGTERM: end, signal.SIGINT: end, signal.SIGHUP: look}
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
