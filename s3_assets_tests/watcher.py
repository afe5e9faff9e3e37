"""A small HTTP server in place of a watcher such as healthchecks.io: it records what it is told."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from types import TracebackType

SECRET = "5c2e9b1a-0f5d-4d5e-9d3c-2a7b8f6e1d40"
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")

Answer = Literal["ok", "fails", "hangs", "drips", "drops"]
"""200; 500; nothing at all; a header that never ends, byte by byte; the connection closed."""


@dataclass(frozen=True)
class Told:
    """One request."""

    method: str
    word: str
    body: str


class Watcher:
    """Answers on loopback.

    Attributes:
        answer: What it does with requests.
        told: All of them, in order; answered well or not.
    """

    def __init__(self) -> None:
        self.answer: Answer = "ok"
        self.told: list[Told] = []
        self._ending = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        """As `S3_ASSETS_HEARTBEAT_URL`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{SECRET}"

    @property
    def words(self) -> list[str]:
        """What was told, without the bodies: `/start`, ``, `/fail`."""
        return [told.word for told in self.told]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        watcher = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                watcher.told.append(Told(self.command, self.path.removeprefix(f"/{SECRET}"), body))
                if watcher.answer == "hangs":
                    watcher._ending.wait(60)
                elif watcher.answer == "drips":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                    for _ in range(600):
                        if watcher._ending.wait(0.1):
                            break
                        self.wfile.write(b"x")
                elif watcher.answer != "drops":
                    self.send_response(200 if watcher.answer == "ok" else 500, "no secret")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        return Handler
