"""One host process as the supervisor sees it: started, spoken to over the control channel, gone.

A host gets the control socket and the runtime's lock as inherited descriptors and nothing else. It ends by
itself when the control channel ends. What it prints goes to the runtime's log.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.supervisor.channel import Channel, Message

#: How long a host may take from its start until it is ready, and to answer one request, in seconds.
READY_TIMEOUT = 60.0
ANSWER_TIMEOUT = 60.0


class HostError(Exception):
    """The host could not do what it was asked for; the text says what."""


class HostGoneError(HostError):
    """The host process ended before it answered."""


@dataclass(frozen=True, slots=True)
class HostCommand:
    """How a host is started: whose, in which role, with what inherited."""

    server: str
    role: str
    state: Path
    log: Path
    lock: int

    def arguments(self, control: int) -> list[str]:
        """The command line; nothing is imported from the current directory (-P)."""
        own = [
            "--server",
            self.server,
            "--role",
            self.role,
            "--state",
            str(self.state),
            "--control",
            str(control),
        ]
        return [sys.executable, "-P", "-m", "runtime.host", *own]


class HostProcess:
    """A host that runs. Make it with `start`."""

    def __init__(self, process: asyncio.subprocess.Process, on_event: Callable[[Message], None]) -> None:
        self.process = process
        self.is_expected_to_end = False
        self._on_event = on_event
        self._answers: dict[int, asyncio.Future[Message]] = {}
        self._numbers = itertools.count(1)
        self._channel: Channel | None = None

    @classmethod
    async def start(
        cls, command: HostCommand, configuration: Message, *, on_event: Callable[[Message], None]
    ) -> HostProcess:
        """Start a host and wait until it is ready. Raises HostError, also for what the system refuses."""
        name = f"the {command.role} host of {command.server}"
        try:
            process, control = await _spawn(command)
        except OSError as error:
            raise HostError(f"{name} cannot be started: {error}") from error
        host = cls(process, on_event)
        host._channel = Channel(control, on_message=host._on_message, on_closed=host._on_closed)
        try:
            await host.request("configure", configuration, timeout=READY_TIMEOUT)
        except HostError as error:
            await host._give_up()
            raise HostError(f"{name} did not become ready: {error}; see {command.log}") from error
        except BaseException:
            # Whoever waited for it no longer does, and nobody else knows of it.
            await host._give_up()
            raise
        return host

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """False once the process ended."""
        return self.process.returncode is None and self._channel is not None

    async def request(
        self,
        action: str,
        facts: Message | None = None,
        *,
        descriptors: Sequence[int] = (),
        timeout: float = ANSWER_TIMEOUT,  # noqa: ASYNC109 - a limit of the protocol, not of the caller
    ) -> dict[str, Any]:
        """Ask the host and return its answer. Raises HostError with the host's words, HostGoneError."""
        number = next(self._numbers)
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            self.tell(action, {**(facts or {}), "request": number}, descriptors=descriptors)
            message = await asyncio.wait_for(answer, timeout)
        except TimeoutError:
            raise HostError(
                f"host process {self.pid} did not answer {action!r} within {timeout:g} s"
            ) from None
        finally:
            self._answers.pop(number, None)
        if error := message.get("error"):
            raise HostError(str(error))
        return message

    def tell(self, action: str, facts: Message | None = None, *, descriptors: Sequence[int] = ()) -> None:
        """Send without waiting. Raises HostGoneError."""
        if self._channel is None:
            raise HostGoneError(f"host process {self.pid} ended")
        self._channel.send({**(facts or {}), "action": action}, descriptors)

    async def wait(self) -> int:
        """Wait for its end; returns the exit status, negative for a signal."""
        return await self.process.wait()

    def kill(self) -> None:
        """End it at once."""
        self.is_expected_to_end = True
        if self.process.returncode is None:
            self.process.kill()

    async def _give_up(self) -> None:
        """End one that never became ready, and let go of it."""
        self.kill()
        await self.wait()
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _on_message(self, message: Message, descriptors: list[int]) -> None:
        assert not descriptors  # a host sends none
        if (answer := self._answers.get(message.get("answer", 0))) is not None:
            if not answer.done():
                answer.set_result(message)
        elif "event" in message:
            self._on_event(message)

    def _on_closed(self) -> None:
        self._channel = None
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(HostGoneError(f"host process {self.pid} ended before it answered"))


async def _spawn(command: HostCommand) -> tuple[asyncio.subprocess.Process, socket.socket]:
    """The process, and our end of its control channel. Raises OSError; then nothing is left behind."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with theirs, command.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command.arguments(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(), command.lock),
                start_new_session=True,
            )
    except BaseException:
        ours.close()
        raise
    return process, ours
