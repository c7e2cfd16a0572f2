"""Policies over a plan: what must never be applied, or only by somebody who says why.

`files` reads policies, waivers and policy tests from YAML; `evaluate` holds them against a plan; `trials` runs the
tests beside them. Everything is pure but for reading files; nothing is written and nothing is asked of a target.
"""
