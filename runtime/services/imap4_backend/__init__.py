"""The IMAP4 back end: a logged-on session on its mailbox.

`session` drives one connection: events of the core in, replies of the handlers out. Handlers are functions, one
module a group: `folders` (LIST, CREATE, …), `messages` (FETCH, STORE, COPY, …), `selection` (SELECT, CLOSE, …),
`upload` (APPEND). `selected` is a session's view of a folder, `fetch`, `sections`, `search` and `patterns` are what
the handlers compute with. It believes only a front end that holds the backend key: `runtime.services.back_end` sees
to that. Called by the host.
"""

from __future__ import annotations

from runtime.services.imap4_backend.session import create

__all__ = ["create"]
