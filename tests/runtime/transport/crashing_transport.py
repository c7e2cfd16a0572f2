"""A transport service in a process of its own, to be killed: `python crashing_transport.py STATE PORT`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from runtime.net.connection import bound_socket
from runtime.services import transport
from runtime.store.store import SqliteStore
from tests.runtime.certificates import share_pair
from tests.runtime.directories import directory, estate
from tests.runtime.services.smtp_estate import HUB, accepted, listen, make_connector, make_host, make_snapshot


async def main(state: Path, port: int) -> None:
    """Serve one hub connector until killed."""
    share_pair(state)
    store = SqliteStore(state / "databases")
    host = make_host("backend", state, directory(accepted(estate())), store)
    connector = make_connector(port, {**HUB, "maxInboundConnectionPerSource": "Unlimited"})
    service = transport.create(host, make_snapshot({"hub": connector}, {}), 1)
    await service.start()
    await listen(service, bound_socket("127.0.0.1", port))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
