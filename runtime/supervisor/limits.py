"""What the operating system allows a process of the runtime. Called once by each, at its start."""

from __future__ import annotations

import resource


def raise_descriptor_limit() -> None:
    """Every connection is a descriptor: take as many as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
