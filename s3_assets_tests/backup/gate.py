"""A gate before a server: while it is shut, requests wait behind it, as with a store that does not answer."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from types import TracebackType


class Gate:
    """Hands bytes on in both directions, while it is open."""

    def __init__(self, endpoint_url: str) -> None:
        address = urlsplit(endpoint_url)
        assert address.hostname is not None
        assert address.port is not None
        self._target = (address.hostname, address.port)
        self._open = threading.Event()
        self._open.set()
        self._waiting = 0
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.set()
        self._server.close()

    @property
    def url(self) -> str:
        """Before the server."""
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    @property
    def waiting(self) -> int:
        """How many connections have a request that waits."""
        return self._waiting

    def shut(self) -> None:
        """From now on requests wait, also those of connections that are there."""
        self._open.clear()

    def open(self) -> None:
        """All goes on."""
        self._open.set()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._server.accept()
                server = socket.create_connection(self._target)
                for here, there, held in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._hand_on, args=(here, there, held), daemon=True).start()

    def _hand_on(self, here: socket.socket, there: socket.socket, held: bool) -> None:
        with suppress(OSError):
            while data := here.recv(1 << 16):
                if held and not self._open.is_set():
                    self._wait()
                there.sendall(data)
        for each in (here, there):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _wait(self) -> None:
        with self._lock:
            self._waiting += 1
        self._open.wait()
        with self._lock:
            self._waiting -= 1
