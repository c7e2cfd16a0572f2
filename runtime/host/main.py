"""The host process from its start to its end.

Waits for the supervisor's configuration, then does as it is told until the control channel ends or it is
asked to shut down. It never logs what it is configured with: keys and hashes are in it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import importlib.util
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from runtime.host.commander import Commander
from runtime.supervisor.layout import Layout
from runtime.supervisor.limits import raise_descriptor_limit

logger = logging.getLogger("runtime.host")

#: Which event loop carries the services: "uvloop", "asyncio", or unset for uvloop where it is installed.
LOOP_VARIABLE = "RECONCILER_LOOP"


def main() -> None:
    """Entry point of `python -m runtime.host`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    arguments = _parse(sys.argv[1:])
    logging.basicConfig(
        level=logging.INFO,
        format=f"%(asctime)s {arguments.server}/{arguments.role}[%(process)d] %(levelname)s %(name)s: %(message)s",
    )
    raise_descriptor_limit()
    control = socket.socket(fileno=arguments.control)
    os.set_inheritable(control.fileno(), False)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_carry(arguments, control))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's event loop where it is installed, asyncio's otherwise; RECONCILER_LOOP decides when it is
    set."""
    wanted = os.environ.get(LOOP_VARIABLE) or ("uvloop" if importlib.util.find_spec("uvloop") else "asyncio")
    if wanted == "uvloop":
        factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
        return factory
    if wanted == "asyncio":
        return asyncio.SelectorEventLoop
    raise SystemExit(f"{LOOP_VARIABLE}={wanted} is not an event loop; set it to uvloop or asyncio")


async def _carry(arguments: argparse.Namespace, control: socket.socket) -> None:
    commander = Commander(Layout(arguments.state), server=arguments.server, role=arguments.role)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, commander.end)
    gc.freeze()
    await commander.run(control)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="runtime.host", description="internal; started by the supervisor")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("--role", choices=("frontend", "backend"), required=True)
    parser.add_argument(
        "--control", type=int, required=True, help="inherited descriptor of the control socket"
    )
    return parser.parse_args(arguments)
