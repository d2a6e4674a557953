"""A listener that speaks enough of Oracle Net for the real driver to be refused by it.

Packets begin with their length, a checksum, their type, flags and a header checksum. The client sends CONNECT; a
listener answers ACCEPT (with the protocol's version and its demands) or REFUSE (with a text that holds a code).
"""

from __future__ import annotations

import socket
import struct
import threading
from types import TracebackType
from typing import Final

_ACCEPT: Final = 2
_REFUSE: Final = 4
_ENCRYPTION_REQUIRED: Final = 0x10  # a flag of the services in an ACCEPT
_NEW: Final = 318  # versions of the protocol: of 12.1 and later,
_OLD: Final = 312  # and before


def _packet(kind: int, body: bytes) -> bytes:
    return struct.pack(">HHBBH", 8 + len(body), 0, kind, 0, 0) + body


def _accepted(version: int, services: int) -> bytes:
    body = struct.pack(">HH10xB9xI5xI", version, 1, services, 8192, 0)
    return _packet(_ACCEPT, body)


def _refused(code: int) -> bytes:
    text = f"(DESCRIPTION=(ERR={code})(ERROR_STACK=(ERROR=(CODE={code})(EMFI=4))))".encode()
    return _packet(_REFUSE, struct.pack(">BBH", 34, 0, len(text)) + text)


class OracleListener:
    """`says` is what it answers: `encrypt`, `old`, `reset`, `close`, `silent`, or a code of ORA. Used as a context."""

    def __init__(self, says: str | int) -> None:
        self._says = says
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._kept: list[socket.socket] = []
        self.port = int(self._socket.getsockname()[1])
        self.connects: list[bytes] = []

    @property
    def url(self) -> str:
        return f"oracle://me:hunter2@127.0.0.1:{self.port}/?service_name=FREE"

    def __enter__(self) -> OracleListener:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._socket.close()
        for connection in self._kept:
            connection.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connects.append(connection.recv(4096))
            self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        if self._says == "silent":
            self._kept.append(connection)
            return
        if self._says == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif self._says == "encrypt":
            connection.sendall(_accepted(_NEW, _ENCRYPTION_REQUIRED))
        elif self._says == "old":
            connection.sendall(_accepted(_OLD, 0))
        elif self._says != "close":
            connection.sendall(_refused(int(self._says)))
        connection.close()
