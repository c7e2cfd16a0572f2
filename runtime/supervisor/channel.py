"""The control channel between the supervisor and one host: JSON messages and file descriptors over a socket
pair.

A frame is `!IH` (bytes of JSON, number of descriptors) and the JSON; descriptors travel with its first byte.
Both sides use this class. It never blocks: what the other side does not take yet waits in memory. The end of
the channel is how each side learns of the other's death.
"""

from __future__ import annotations

import array
import asyncio
import json
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

Message = dict[str, Any]

_HEADER = struct.Struct("!IH")
#: The kernel takes no more descriptors in one message (SCM_MAX_FD).
MAX_DESCRIPTORS = 253
_MAX_FRAME = 64 * 1024 * 1024
_READ = 256 * 1024
_ANCILLARY = socket.CMSG_SPACE(MAX_DESCRIPTORS * array.array("i").itemsize)


class ChannelError(Exception):
    """The other side broke the framing, or too many descriptors were to be sent."""


class FrameBuffer:
    """Takes bytes and descriptors as they arrive, gives whole messages."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._descriptors: deque[int] = deque()

    def feed(self, data: bytes, descriptors: Sequence[int] = ()) -> list[tuple[Message, list[int]]]:
        """The messages that are complete now, each with its descriptors. Raises ChannelError."""
        self._data += data
        self._descriptors.extend(descriptors)
        messages = []
        while (message := self._take()) is not None:
            messages.append(message)
        return messages

    def _take(self) -> tuple[Message, list[int]] | None:
        if len(self._data) < _HEADER.size:
            return None
        size, count = _HEADER.unpack_from(self._data)
        if size > _MAX_FRAME:
            raise ChannelError(f"a frame of {size} bytes was announced, at most {_MAX_FRAME} are taken")
        end = _HEADER.size + size
        if len(self._data) < end:
            return None
        if count > len(self._descriptors):
            raise ChannelError(f"{count} descriptors were announced, {len(self._descriptors)} came")
        message: Message = json.loads(self._data[_HEADER.size : end])
        del self._data[:end]
        return message, [self._descriptors.popleft() for _ in range(count)]

    def close(self) -> None:
        """Close descriptors that no message claimed."""
        while self._descriptors:
            os.close(self._descriptors.popleft())


def frame(message: Message, descriptors: int = 0) -> bytes:
    """The bytes of one message."""
    payload = json.dumps(message, separators=(",", ":")).encode()
    return _HEADER.pack(len(payload), descriptors) + payload


class Channel:
    """One end. `on_message(message, descriptors)` owns the descriptors; `on_closed()` is called once, when
    the other side is gone or broke the framing."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        on_message: Callable[[Message, list[int]], None],
        on_closed: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._on_message = on_message
        self._on_closed = on_closed
        self._buffer = FrameBuffer()
        self._waiting: deque[tuple[memoryview, Sequence[int]]] = deque()
        self._is_open = True
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._read)

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Queue a message. The caller keeps `descriptors` open until it is answered. Raises ChannelError."""
        if len(descriptors) > MAX_DESCRIPTORS:
            raise ChannelError(
                f"{len(descriptors)} listening addresses at once, at most {MAX_DESCRIPTORS} can be"
            )
        if not self._is_open:
            return
        self._waiting.append((memoryview(frame(message, len(descriptors))), descriptors))
        if len(self._waiting) == 1:
            self._write()

    def close(self) -> None:
        """Close this end; `on_closed` is not called."""
        if not self._is_open:
            return
        self._is_open = False
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._buffer.close()
        self._socket.close()

    def _read(self) -> None:
        try:
            data, ancillary, _, _ = self._socket.recvmsg(_READ, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
            messages = self._buffer.feed(data, _descriptors(ancillary))
        except BlockingIOError:
            return
        except (OSError, ChannelError, ValueError):
            self._end()
            return
        for message, descriptors in messages:
            self._on_message(message, descriptors)
        if not data:
            self._end()

    def _write(self) -> None:
        try:
            while self._waiting:
                self._write_first()
        except BlockingIOError:
            self._loop.add_writer(self._socket.fileno(), self._write)
        except OSError:
            self._end()
        else:
            self._loop.remove_writer(self._socket.fileno())

    def _write_first(self) -> None:
        data, descriptors = self._waiting[0]
        ancillary = (
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        )
        sent = self._socket.sendmsg([data], ancillary)
        if sent == len(data):
            self._waiting.popleft()
        else:
            self._waiting[0] = (data[sent:], ())

    def _end(self) -> None:
        if self._is_open:
            self.close()
            self._on_closed()


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found: list[int] = []
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers = array.array("i")
            numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
            found.extend(numbers)
    return found
