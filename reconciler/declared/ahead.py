"""Parses YAML files in a process of its own, while whoever needs them still imports the models, and then checks.

Where a cache spares no parsing that takes half of a run, and a second processor would be idle. What comes back is plain
data: the documents of files without any problem, each with the hash of the content that was parsed. A file with
problems, one that changed meanwhile, and all the others when the process ends early are left to the caller, so nothing
that it says depends on this. Needs no models. Called by `cli.inputs` and `load`.
"""

from __future__ import annotations

import fcntl
import hashlib
import marshal
import os
import signal
import subprocess
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from reconciler.declared.files import read_bytes
from reconciler.declared.kept import place_of_parsed
from reconciler.declared.layout import layout, locate
from reconciler.declared.positions import Document
from reconciler.declared.source import DirectorySource
from reconciler.model import Diagnostic

#: Octets of YAML that are worth a process, which needs a while to start.
WORTH = 256 * 1024
#: Octets that it may be ahead; what Linux lets everybody have in a pipe.
LEAD = 1024 * 1024

#: Octets of the length that goes before each message, and of the longest message.
_LENGTH, _LONGEST = 8, 1 << 30

#: A file's path, the hash of its content, and its documents: each its value and its marks in octets.
Parsed = tuple[str, str, list[tuple[object, bytes]]]


class Ahead:
    """What another process parses. Ask for files in the order in which they were given to it."""

    def __init__(self, stream: IO[bytes] | None = None, files: Iterable[Path] = ()) -> None:
        self._stream = stream
        self._files = frozenset(map(str, files))
        self._passed: dict[str, Parsed] = {}

    def documents(self, file: Path, key: str) -> tuple[Document, ...] | None:
        """The documents of the file whose content has the hash `key`; None when that is for the caller to find out."""
        if self._stream is None or str(file) not in self._files:
            return None
        while str(file) not in self._passed:
            parsed: Parsed | None = _received(self._stream)
            if parsed is None:
                self._stream = None
                return None
            self._passed[parsed[0]] = parsed
        _, found, documents = self._passed.pop(str(file))
        if found != key:
            return None
        return tuple(Document(value, array("Q", marks)) for value, marks in documents)


#: For callers that have nothing parsed elsewhere.
NOT_AHEAD = Ahead()


def unparsed(cache: Path, directory: Path, environment: str | None) -> Sequence[Path]:
    """The files of a directory of which no former run left anything in `cache`, in the order of their reading; none
    when a former run did, or when they or the cache cannot be looked at, which is told by reading them."""
    root, environment = locate(directory, environment)
    try:
        if place_of_parsed(cache, root / (environment or "")).exists():
            return ()
        chosen = layout(DirectorySource(root), environment)
    except OSError:
        return ()
    return () if isinstance(chosen, Diagnostic) else (*chosen.files, *(chosen.patches or ()))


@contextmanager
def parsed_ahead(files: Sequence[Path]) -> Iterator[Ahead]:
    """Have the files parsed from now on, where that is worth a process and there is a processor for it. What it has not
    done at the end nobody needs."""
    process = _started() if len(os.sched_getaffinity(0)) > 1 and _are_worth_it(files) else None
    if process is None:
        yield NOT_AHEAD
        return
    with process:
        try:
            yield Ahead(_asked(process, files), files)
        finally:
            process.kill()


def _are_worth_it(files: Iterable[Path]) -> bool:
    total = 0
    for file in files:
        with suppress(OSError):  # whoever reads it tells why it cannot
            total += file.stat().st_size
        if total >= WORTH:
            return True
    return False


def _started() -> subprocess.Popen[bytes] | None:
    """None where there is no room for one more process. Why one ends early is nobody's concern: the caller does what is
    left, and tells what it finds."""
    command = [sys.executable, "-P", "-m", __name__]
    try:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError:
        return None


def _asked(process: subprocess.Popen[bytes], files: Iterable[Path]) -> IO[bytes] | None:
    """Where the answers come from."""
    if process.stdin is None or process.stdout is None:
        return None
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):  # a smaller lead will do
            fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, LEAD)
    with suppress(BrokenPipeError), process.stdin as questions:
        _send([str(file) for file in files], questions)
    return process.stdout


def _received(stream: IO[bytes]) -> Any:
    """What comes next; None at the end, which may come early, and for what is no message."""
    length = int.from_bytes(stream.read(_LENGTH), "big")
    content = stream.read(length) if length <= _LONGEST else b""
    if not length or len(content) < length:
        return None
    return marshal.loads(content)  # noqa: S302 - the other end is a process of our own


def _send(value: Any, stream: IO[bytes]) -> None:
    """In one piece, which is read several times faster than value by value."""
    content = marshal.dumps(value)
    stream.write(len(content).to_bytes(_LENGTH, "big") + content)
    stream.flush()


def parse_all(files: Iterable[str], stream: IO[bytes]) -> None:
    """Write each file as `Parsed`; one that is not good as it is, without a hash."""
    from reconciler.declared.reader import read

    for file in files:
        try:
            content = read_bytes(Path(file))
        except OSError:
            _send((file, "", []), stream)
            continue
        documents, problems = read(content, Path(file))
        key = "" if problems else hashlib.sha256(content).hexdigest()
        rows = [(document.value, array("Q", document.marks).tobytes()) for document in documents]
        _send((file, key, [] if problems else rows), stream)


if __name__ == "__main__":
    # Whoever asked tells what happens here by the end of the stream.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    parse_all(_received(sys.stdin.buffer) or (), sys.stdout.buffer)
