"""The supervisor process from its start to its end.

Exit status 0 after a stop that was asked for, 1 when it cannot start; why is on standard error, everything
else in the log of the state directory.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path

from runtime.live import LiveConfigurationError, LiveStore
from runtime.supervisor import api
from runtime.supervisor.certificate_store import take_in_all
from runtime.supervisor.housekeeping import keep_house
from runtime.supervisor.layout import Layout
from runtime.supervisor.limits import raise_descriptor_limit
from runtime.supervisor.lock import AlreadyRunningError, acquire
from runtime.supervisor.log import RuntimeLog, set_up
from runtime.supervisor.supervisor import Supervisor

logger = logging.getLogger("runtime.supervisor")


def main() -> None:
    """Entry point of `python -m runtime.supervisor`."""
    layout = Layout(_parse(sys.argv[1:]).state.absolute())
    # Whatever this process and its hosts make is their owner's alone.
    os.umask(0o077)
    try:
        layout.prepare()
        lock = acquire(layout.lock)
        log = set_up(layout.log)
    except (AlreadyRunningError, OSError) as error:
        sys.exit(f"reconciler runtime: {error}")
    try:
        raise_descriptor_limit()
        asyncio.run(_supervise(layout, lock, log))
    except (LiveConfigurationError, OSError) as error:
        logger.exception("the runtime cannot go on")
        sys.exit(f"reconciler runtime: {error}; see {layout.log}")


async def _supervise(layout: Layout, lock: int, log: RuntimeLog) -> None:
    """Clients that connect while services start wait for their answer; nobody sees a half-started runtime."""
    supervisor = Supervisor(layout, LiveStore(layout.live), lock=lock)
    _obey_signals(supervisor)
    sock = api.bind(layout.control_socket)
    take_in_all(layout, supervisor.store)
    tidying = asyncio.create_task(keep_house(layout, supervisor.store, log), name="keep house")
    try:
        await supervisor.start()
        await _serve_until_stopped(supervisor, sock)
    finally:
        tidying.cancel()
        await supervisor.cut_short()
        layout.control_socket.unlink(missing_ok=True)
        supervisor.store.close()


async def _serve_until_stopped(supervisor: Supervisor, sock: socket.socket) -> None:
    server = api.ApiServer(supervisor)
    serving = asyncio.create_task(server.serve(sockets=[sock]), name="control API")
    stopping = asyncio.create_task(supervisor.stop_requested.wait(), name="wait for stop")
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    await supervisor.stop()
    server.should_exit = True
    await serving
    stopping.cancel()


def _obey_signals(supervisor: Supervisor) -> None:
    """The first signal asks for a stop with drains, the second cuts them short."""
    loop = asyncio.get_running_loop()
    cutting: list[asyncio.Task[None]] = []

    def on_signal() -> None:
        if supervisor.stop_requested.is_set():
            cutting.append(loop.create_task(supervisor.cut_short()))
        supervisor.stop_requested.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m runtime.supervisor", description="The runtime, in the foreground."
    )
    parser.add_argument(
        "--state", type=Path, required=True, help="state directory; made when it is not there"
    )
    return parser.parse_args(arguments)
