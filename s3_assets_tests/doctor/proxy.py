"""An HTTP proxy before a real server: it records what is asked, and puts one fault in between.

It looks at requests as IAM would, by ministack's own reading of them, so that what it calls an action is nobody's
opinion in this package. Headers go through as they came, `Host` too, so signatures stay right.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from ministack.core.iam_actions import extract_iam_action, extract_resource_arn, s3_additional_checks

if TYPE_CHECKING:
    from types import TracebackType

_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}
_RACED = {"race-create": "if-none-match", "race-replace": "if-match"}
"""The keys of races, and the condition that all writers of one have."""

RACE_BOUND_S = 60

BATCH = "Batch"
"""ministack asks for rights of this name for calls in batches; SQS has none, and asks for those of single calls (Amazon
SQS API permissions: actions and resource reference)."""


@dataclass(frozen=True)
class Request:
    """One request as it came.

    Attributes:
        method: Of HTTP.
        path: With its query.
        headers: By lower-case name.
        body: Whole.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def query(self) -> dict[str, list[str]]:
        """The query's parameters."""
        return parse_qs(urlsplit(self.path).query, keep_blank_values=True)

    @property
    def key(self) -> str:
        """Bucket and key, as they are in the path."""
        return urlsplit(self.path).path

    def needs(self) -> list[tuple[str, str]]:
        """The actions that IAM asks for, each with its resource's ARN, as ministack reads the request."""
        service = "sqs" if "x-amz-target" in self.headers else "s3"
        plain = (self.method, self.key, self.headers, self.body, self.query)
        action = extract_iam_action(service, *plain)
        resource = extract_resource_arn(service, *plain, "us-east-1", "000000000000")
        assert action is not None
        more = []
        if service == "s3":
            more = s3_additional_checks(self.method, self.key, self.headers, self.body, self.query)
        return [(action.removesuffix(BATCH), resource), *more]


@dataclass
class Fault:
    """What is wrong; as it is, nothing.

    Attributes:
        denied: The actions that are answered by 403,
        below: where path and query hold this.
        code: The error's code.
        skew: How far the `Date` of answers is ahead.
        ignores: Conditions that don't get to the server, by their headers.
        deaf: DELETE requests whose query names this are answered as if they were done, and are not; empty is none.
        leaky: So many conditional PUTs of a race are looked at first, all together, and then written without their
            condition: right in sequence, wrong in a race. 0 is none.
    """

    denied: frozenset[str] = frozenset()
    below: str = ""
    code: str = "AccessDenied"
    skew: timedelta = timedelta(0)
    ignores: frozenset[str] = frozenset()
    deaf: str = ""
    leaky: int = 0


def _cut(span: str, answered: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
    """The range that was asked for: of an older version, ministack gives all (`store/deviations.py`)."""
    first, _, last = span.removeprefix("bytes=").partition("-")
    start = int(first) if first else max(0, len(body) - int(last))
    stop = min(int(last) + 1, len(body)) if first and last else len(body)
    return 206, {**answered, "Content-Range": f"bytes {start}-{stop - 1}/{len(body)}"}, body[start:stop]


class Proxy:
    """Stands before a server.

    Attributes:
        upstream: The server's address.
        fault: What is wrong now; may be changed at any time.
        seen: Every request so far.
        refused: Those that were answered by 403.
    """

    def __init__(self, upstream: str) -> None:
        """Before the server at this address."""
        self.fault = Fault()
        self.seen: list[Request] = []
        self.refused: list[Request] = []
        self.upstream = upstream
        self._upstream = urlsplit(upstream).netloc
        self._lock = threading.Lock()
        self._gates: dict[str, threading.Barrier] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """The server's answer, or the fault's."""
        with self._lock:
            self.seen.append(request)
        fault = self.fault
        if fault.denied and fault.below in unquote(request.path) and request.needs()[0][0] in fault.denied:
            body = f"<Error><Code>{fault.code}</Code><Message>not for you</Message></Error>".encode()
            return 403, {"Content-Type": "application/xml"}, body
        if fault.deaf and request.method == "DELETE" and fault.deaf in request.query:
            return 204, {}, b""
        headers = dict(request.headers)
        for name in fault.ignores:
            headers.pop(name, None)
        raced = next((header for name, header in _RACED.items() if name in request.key and header in headers), None)
        if fault.leaky and request.method == "PUT" and raced is not None:
            if not self._holds(request, raced, headers.pop(raced)):
                return 412, {"Content-Type": "application/xml"}, b"<Error><Code>PreconditionFailed</Code></Error>"
            self._gate(request.key, fault.leaky).wait(RACE_BOUND_S)
        status, answered, body = self._forward(request.method, request.path, headers, request.body)
        if fault.skew:
            answered = {name: value for name, value in answered.items() if name.lower() != "date"}
            answered["Date"] = format_datetime(datetime.now(UTC) + fault.skew, usegmt=True)
        if status == HTTPStatus.OK and "range" in headers and "versionId" in request.query:
            return _cut(headers["range"], answered, body)
        return status, answered, body

    def _gate(self, key: str, parties: int) -> threading.Barrier:
        with self._lock:
            return self._gates.setdefault(key, threading.Barrier(parties))

    def _holds(self, request: Request, header: str, value: str) -> bool:
        status, headers, _ = self._forward("HEAD", request.path, {"host": self._upstream}, b"")
        etag = {name.lower(): value for name, value in headers.items()}.get("etag")
        return status == 404 if header == "if-none-match" else etag == value

    def _forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection(self._upstream, timeout=120)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                if name not in _HOP:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            answered = {
                name: value for name, value in response.getheaders() if name.lower() not in _HOP - {"content-length"}
            }
            data = response.read()
            if method != "HEAD":
                answered = {name: value for name, value in answered.items() if name.lower() != "content-length"}
            return response.status, answered, data
        finally:
            connection.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, body)
                status, answered, data = proxy.answer(request)
                if status == HTTPStatus.FORBIDDEN:
                    proxy.refused.append(request)
                self.send_response_only(status)
                if not any(name.lower() == "date" for name in answered):
                    self.send_header("Date", self.date_time_string())
                for name, value in answered.items():
                    self.send_header(name, value)
                if not any(name.lower() == "content-length" for name in answered):
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 - names of http.server

            def log_message(self, *_: Any) -> None:
                """Keep quiet."""

        return Handler
