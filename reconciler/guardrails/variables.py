"""Which variables an expression has, by scope: the form of the document that policies are held against.

Every scope has `estate` (counts, domains, the throttling policy of everybody), `now` (a timestamp) and `environment`
(labels of the run). `subjects` fills them in.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.guardrails.policy import Scope

FORMAT = "reconciler/policy-document/v1"

_EVERYWHERE = frozenset({"estate", "now", "environment"})

VARIABLES: Mapping[Scope, frozenset[str]] = {
    Scope.RESOURCE: _EVERYWHERE | {"resource", "server"},
    Scope.CHANGE: _EVERYWHERE | {"change"},
    Scope.SERVICE: _EVERYWHERE | {"service"},
    Scope.SITE: _EVERYWHERE | {"site"},
    Scope.PLAN: _EVERYWHERE | {"plan"},
}
