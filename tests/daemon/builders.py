"""An estate directory and a loop that follows it on a target in memory, for tests of what it tells and does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from reconciler.applying.hold import new_hold
from reconciler.daemon import notices
from reconciler.daemon.feed import DirectoryFeed
from reconciler.daemon.follow import following
from reconciler.daemon.ledger import Ledger, Patience
from reconciler.daemon.loop import Outside, Wish
from reconciler.daemon.notices import Notice
from reconciler.daemon.pulse import Pulse
from reconciler.daemon.rounds import Healing
from reconciler.model import Hold
from reconciler.pipeline import NO_INPUTS
from tests.applying.builders import IMAP, Bench
from tests.support.estate import Ports, write_estate

POLICY = """\
apiVersion: reconciler/v1
kind: ThrottlingPolicy
metadata: {{name: few}}
spec: {{imapMaxConcurrency: {limit}}}
"""


class Stage:
    """An estate directory, a bench to apply it on, and what the loop has told."""

    def __init__(
        self,
        root: Path,
        *,
        heals: bool = True,
        kinds: frozenset[str] = frozenset(),
        before: Stage | None = None,
    ) -> None:
        self.directory = root / "estate"
        self.ports: Ports = before.ports if before else Ports()
        self.bench: Bench = before.bench if before else Bench(root / "state")
        self.told: list[Notice] = []
        self.now = 1000.0
        self.held: tuple[Hold, ...] = ()
        self.declare(16)
        state = self.bench.applier.state
        self.wish = Wish()
        self.feed = DirectoryFeed(self.directory, state=state.path)
        patience = Patience(first_wait=10, jitter=0)
        self.ledger = Ledger(state.daemon / "ledger.json", patience, clock=lambda: self.now)
        healing = Healing(self.ledger, kinds) if heals else None
        self.pulse = Pulse(monotonic=lambda: self.now)
        self.loop = following(
            self.feed,
            self.bench.applier,
            NO_INPUTS,
            holds=lambda: self.held,
            healing=healing,
            tell=self.told.append,
            outside=Outside(self.wish, releases=state.daemon, pulse=self.pulse),
        )

    def declare(self, limit: int) -> None:
        write_estate(self.directory, self.ports, max_connections_per_user=limit)

    def round(self, *, has_news: bool = True) -> list[Notice]:
        """One round; what it told, but for its end."""
        self.told.clear()
        self.loop.round(has_news=has_news)
        return [notice for notice in self.told if not isinstance(notice, notices.RoundEnded)]

    def change_by_hand(self, limit: int) -> None:
        """With the ports of the estate kept."""
        live = self.bench.target.read(IMAP)
        spec = live.spec.model_copy(update={"max_connections_per_user": limit})  # type: ignore[union-attr]
        self.bench.set_by_hand(IMAP, spec)

    def fail_once(self) -> None:
        self.bench.probes.failing = ["ex01/imap4"]


def hold(pattern: str) -> Hold:
    until = datetime.now(UTC) + timedelta(hours=1)
    return new_hold(pattern, until=until, reason="maintenance", by="bob")
