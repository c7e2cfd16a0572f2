"""A message that arrives in pieces, brought into CRLF form on the way: in memory up to 64 KiB, then in a spool file.

The services write into it; an append takes what is in it. It neither parses nor syncs.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from runtime.store.blobs import BlobDirectory
from runtime.store.interface import StoreError, StoreUnavailableError

#: Octets up to which a body lies in a row of the database.
ROW_LIMIT = 64 * 1024


def to_crlf(data: bytes) -> bytes:
    """`data` with every bare line feed made CRLF. Bare carriage returns are content and stay."""
    if data.count(b"\n") == data.count(b"\r\n"):
        return data
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


class SpooledMessage:
    """Implements `MessageWriter`. Belongs to one session."""

    def __init__(self, blobs: BlobDirectory) -> None:
        self._blobs = blobs
        self._chunks: list[bytes] = []
        self._size = 0
        self._ends_in_cr = False
        self._file: io.BufferedWriter | None = None
        self._path: Path | None = None
        self._is_spent = False

    @property
    def size(self) -> int:
        """Octets so far, in CRLF form."""
        return self._size

    def write(self, data: bytes) -> None:
        """Add a piece. Raises StoreUnavailableError and forgets the message where the spool file cannot be written."""
        if self._is_spent:
            raise StoreError("This message was discarded or appended already.")
        if not data:
            return
        piece = self._normalised(data)
        self._size += len(piece)
        if self._file is not None:
            self._spool((piece,))
            return
        self._chunks.append(piece)
        if self._size > ROW_LIMIT:
            chunks, self._chunks = self._chunks, []
            self._spool(chunks)

    def discard(self) -> None:
        """Forget the message and remove the spool file. Safe to call at any time, also twice."""
        self._is_spent = True
        self._chunks.clear()
        path = self._close()
        if path is not None:
            path.unlink(missing_ok=True)

    def take(self) -> bytes | Path:
        """The whole message, or the path of its closed spool file, which is the caller's from now on.

        A message in a file can be taken once.
        """
        if self._is_spent:
            raise StoreError("This message was discarded or appended already.")
        if self._file is None:
            return b"".join(self._chunks)
        self._is_spent = True
        try:
            self._file.flush()
        except OSError as error:
            self.discard()
            raise StoreUnavailableError("The message could not be stored now.") from error
        path = self._close()
        if path is None:
            raise StoreError("This message was discarded or appended already.")
        return path

    def _normalised(self, data: bytes) -> bytes:
        """CRLF form of a piece; a CR at the end of the last piece counts as before this one."""
        starts_with_lf = self._ends_in_cr and data.startswith(b"\n")
        self._ends_in_cr = data.endswith(b"\r")
        return b"\n" + to_crlf(data[1:]) if starts_with_lf else to_crlf(data)

    def _spool(self, pieces: list[bytes] | tuple[bytes, ...]) -> None:
        try:
            if self._file is None:
                self._path = self._blobs.spool_path()
                self._file = io.BufferedWriter(io.FileIO(self._path, "x"), 256 * 1024)
            self._file.writelines(pieces)
        except OSError as error:
            self.discard()
            raise StoreUnavailableError("The message could not be stored now.") from error

    def _close(self) -> Path | None:
        file, self._file = self._file, None
        path, self._path = self._path, None
        if file is None:
            return path
        with contextlib.suppress(
            OSError
        ):  # a buffer that cannot be written was flushed before or is thrown away
            file.close()
        return path
