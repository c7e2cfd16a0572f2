"""Limits that hold for values of more than one kind, and that are needed where no model is."""

from __future__ import annotations

from typing import Final

#: Octets (UTF-8) of the longest secret: longer passwords are refused where they are set and where they are tried.
MAX_SECRET_OCTETS: Final = 1024
