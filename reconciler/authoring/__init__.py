"""Writes files that people own: encrypted secrets, canonical style, live values as YAML, a new repository.

Nothing here applies anything. Every file is replaced atomically, or not at all.
"""
