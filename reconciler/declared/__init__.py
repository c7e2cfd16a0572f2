"""Files → Desired: YAML with positions, schemas, selectors, references, secrets by reference.

`load` is the entry. Everything here is pure but for reading files and the parse cache.
"""
