"""A small HTTP server in place of Slack's Web API: it records what is posted, and answers as it is told."""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

TOKEN = "xoxb-1234-secret"


@dataclass(frozen=True)
class Answer:
    """One answer; where it `hangs`, none comes until the server ends; where it `drops`, the connection is closed."""

    status: int = 200
    body: bytes = b'{"ok":true,"ts":"1"}'
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False
    drops: bool = False


OK = Answer()
FAILS = Answer(500, b"<html>Internal Server Error</html>")
HANGS = Answer(hangs=True)
DROPS = Answer(drops=True)
RATE_LIMITED = Answer(429, b'{"ok":false,"error":"ratelimited"}', {"Retry-After": "150"})


def refuses(code: str) -> Answer:
    """A good answer with bad news, as Slack gives it."""
    return Answer(200, json.dumps({"ok": False, "error": code}).encode())


class SlackStandIn:
    """Gives the answers that are queued, and then, or for a channel, the standing one.

    Attributes:
        answers: For the next requests, in order.
        standing: For all others.
        of_channel: For all others to a channel.
        asked: Every request's JSON, answered well or not.
        posted: Those that were answered with `OK`.
        tokens: What each request was authorised with.
    """

    def __init__(self) -> None:
        self.answers: deque[Answer] = deque()
        self.standing = OK
        self.of_channel: dict[str, Answer] = {}
        self.asked: list[dict[str, Any]] = []
        self.posted: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        """Where it answers, as `S3_ASSETS_SLACK_URL`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/api"

    @property
    def titles(self) -> list[str]:
        """The first line of each message that was posted."""
        return [message["text"].split("\n")[0] for message in self.posted]

    def answer(self, path: str, token: str, body: dict[str, Any]) -> Answer:
        """Note the request and take the answer."""
        with self._lock:
            if path != "/api/chat.postMessage":
                return Answer(404, b"not found")
            self.asked.append(body)
            self.tokens.append(token)
            found = self.answers.popleft() if self.answers else self.of_channel.get(body["channel"], self.standing)
            if found is OK:
                self.posted.append(body)
            return found

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
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = stand_in.answer(self.path, self.headers.get("Authorization", ""), body)
                if answer.hangs:
                    stand_in._ending.wait(30)
                if answer.hangs or answer.drops:
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        return Handler
