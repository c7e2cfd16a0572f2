"""What `fmt` and `upgrade` share: files as they are and as they would be, shown, checked or written."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from reconciler.authoring.formatting import Formatted
from reconciler.authoring.replacing import replace_file
from reconciler.cli.common import CHANGES, DONE, ERROR, print_note, say
from reconciler.expected import ExpectedError


def rewrite(files: Iterable[Formatted], *, check: bool, write: bool, fault: str, result: str) -> int:
    """Tell or write every file, and return the exit code. `fault` is what is said of a file that would change, `result`
    of what it would become. Raises ExpectedError when both are asked for."""
    if check and write:
        raise ExpectedError("say one thing to do: --check or --write")
    found = list(files)
    for file in found:
        _tell(file, check=check, write=write, fault=fault, result=result)
    if any(file.problem for file in found):
        return ERROR
    return CHANGES if not write and any(file.is_changed for file in found) else DONE


def _tell(file: Formatted, *, check: bool, write: bool, fault: str, result: str) -> None:
    if file.problem:
        print_note(f"{file.path}: {file.problem}")
    elif not file.is_changed:
        return
    elif write:
        replace_file(file.path, file.after.encode())
        say(f"{file.path}: rewritten")
    elif check:
        say(f"{file.path}: {fault}")
    else:
        before, after = file.before.splitlines(keepends=True), file.after.splitlines(keepends=True)
        for line in difflib.unified_diff(before, after, str(file.path), f"{file.path} {result}"):
            say(line.removesuffix("\n"))
