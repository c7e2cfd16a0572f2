"""Plan, Report, diagnostics, status → text and data. A leaf: each renderer takes a value and returns it rendered.

Nothing here reads, asks or prints, and no value reaches a terminal without its control characters escaped.
"""
