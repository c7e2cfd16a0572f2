"""Which saved plans were carried out: one small file each, named after the plan's digest.

The file is on disk before the first write of an apply, and making it is what decides between two applies of one plan:
only one of them can. A plan whose apply failed or was killed stays used: how far it came is in the history, and what is
to be done then is planned again.

None is ever forgotten: a plan that creates something fits again whenever that is gone, however old it is, and nothing
but its file here says then that it was used. A file holds a name and a time.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from reconciler.saved.document import SavedPlanError


class UsedPlans:
    """The used plans of one state directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def use(self, digest: str, *, by: str) -> None:
        """Mark the plan as used, durably. Raises SavedPlanError when it was used before."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        entry = {"usedBy": by, "usedAt": datetime.now(UTC).isoformat(timespec="seconds")}
        try:
            descriptor = os.open(
                self._file(digest), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
            )
        except FileExistsError as error:
            raise SavedPlanError(f"{self.told(digest)}; plan again") from error
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(entry).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        _sync(self._directory)

    def told(self, digest: str) -> str | None:
        """Who used the plan and when, as a sentence; None when nobody did."""
        try:
            entry = json.loads(self._file(digest).read_bytes() or b"{}")
        except FileNotFoundError:
            return None
        except ValueError:
            entry = {}
        who, when = entry.get("usedBy", "somebody"), entry.get("usedAt", "an unknown time")
        return f"this plan was used already, by {who} at {when}"

    def _file(self, digest: str) -> Path:
        return self._directory / digest


def _sync(directory: Path) -> None:
    """The entry of a new file is durable once its directory is synced."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
