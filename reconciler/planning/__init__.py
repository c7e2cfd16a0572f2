"""Pure functions from what is declared and what is live to a Plan: diff, order, impact, fingerprint.

Nothing here reads a file, talks to a target or prints. `make_plan` is the entry; `spec_to_write` tells the applier
what a resource becomes.
"""

from reconciler.planning.plan import make_plan, spec_to_write

__all__ = ["make_plan", "spec_to_write"]
