"""What all tests share: hypothesis neither sets a deadline nor asks how long examples take to make, because tests do
not measure time, and a busy machine is no failure."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")
