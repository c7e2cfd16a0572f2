"""IMAP4rev1 as a sans-IO core: bytes in, frozen events out, and encoders for what goes back.

`connection` is the entry; below it `reader` (bytes → lines and literals), `commands`, `fetch_items` and
`search_keys` (tokens → events), `tokens`, `values` and `grammar`. `writer` stands beside it. Imports point downward
only, and nothing in here knows a socket, a clock, a thread or a mailbox.
"""
