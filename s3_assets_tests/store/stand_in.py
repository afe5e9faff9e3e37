"""A small HTTP server that answers what it is told, for the faults that no S3 server makes on demand."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

import boto3

from s3_assets.store.s3 import S3Store
from s3_assets.store.s3_client import Limits

if TYPE_CHECKING:
    from types import TracebackType

QUICK = Limits(attempts=2, retry_s=20, first_backoff_s=0.01, connect_s=2, read_s=10, request_s=20)


@dataclass(frozen=True)
class Answer:
    """One answer: `body` is sent with its length, or `length` if given, which may be a lie; None closes at once."""

    status: int | None = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


def error(status: int, code: str, message: str = "so it is", extra: str = "") -> Answer:
    """An S3 error."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message>{extra}</Error>"
    return Answer(status, body.encode(), {"Content-Type": "application/xml"})


def whole(data: bytes, etag: str = "e1", **options) -> Answer:
    """A GET's answer."""
    modified = "Sun, 22 Nov 2026 03:00:00 GMT"
    return Answer(200, data, {"ETag": f'"{etag}"', "Last-Modified": modified, **options.pop("headers", {})}, **options)


def listing(keys: list[str], *, token: str | None = None, truncated: bool | None = None) -> Answer:
    """A page of a listing."""
    entries = "".join(
        f"<Contents><Key>{key}</Key><Size>1</Size><ETag>&quot;e&quot;</ETag>"
        "<LastModified>2026-11-22T03:00:00.123Z</LastModified></Contents>"
        for key in keys
    )
    more = token is not None if truncated is None else truncated
    next_token = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    body = (
        "<?xml version='1.0'?><ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>"
        f"<IsTruncated>{str(more).lower()}</IsTruncated>{next_token}<EncodingType>url</EncodingType>{entries}"
        "</ListBucketResult>"
    )
    return Answer(200, body.encode(), {"Content-Type": "application/xml"})


class StandIn:
    """Gives its answers in order, the last one again and again.

    Attributes:
        log: `METHOD /path?query` of each request so far.
        headers: The headers of each, by lower-case name.
    """

    def __init__(self, *answers: Answer) -> None:
        self.answers = deque(answers)
        self.log: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def store(self, *, known_as: str | None = "", **options) -> S3Store:
        """A store that goes there, with little patience, and takes it for that server; None lets it ask."""
        session = boto3.Session(aws_access_key_id="AKIATEST", aws_secret_access_key="very-secret")
        options = {"large_commit": "complete", "limits": QUICK, **options}
        store = S3Store("bucket", session=session, endpoint_url=self.url, region="us-east-1", **options)
        store._clients._server = known_as
        return store

    def next_answer(self, method: str, path: str, headers: dict[str, str]) -> Answer:
        """Note the request and take the answer."""
        with self._lock:
            self.log.append(f"{method} {path}")
            self.headers.append(headers)
            return self.answers.popleft() if len(self.answers) > 1 else self.answers[0]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = stand_in.next_answer(self.command, self.path, headers)
                if answer.status is None:
                    self.close_connection = True
                    return
                self.send_response_only(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                length = len(answer.body) if answer.length is None else answer.length
                self.send_header("Content-Length", str(length))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)
                self.close_connection = length != len(answer.body)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 - names of http.server

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        return Handler
