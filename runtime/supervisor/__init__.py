"""The supervisor: processes, listening sockets, generations, the live configuration's writer, the control
API.

`python -m runtime.supervisor --state DIR` is the whole runtime; it starts hosts (`runtime.host`) as it needs
them.
"""
