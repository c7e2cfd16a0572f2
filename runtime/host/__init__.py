"""A host process: carries the front-end or the back-end services of one server.

Started and commanded by the supervisor over an inherited socket; `python -m runtime.host` is of no use to
people.
"""
