"""What all tests share: no example of hypothesis has a deadline, because tests do not measure time."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("project", deadline=None)
settings.load_profile("project")
