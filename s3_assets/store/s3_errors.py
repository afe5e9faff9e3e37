"""The one place where the client libraries' exceptions become ours.

Only the server's code, its message, the HTTP status, and which bucket or server it is about are taken over: never a
whole URL, a header or a body, which can hold credentials or signatures.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from s3_assets.errors import (
    AccessDeniedError,
    ArchivedError,
    BucketNotFoundError,
    NotFoundError,
    PreconditionFailedError,
    StoreError,
    StoreUnavailableError,
    WriteConflictError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_BY_CODE: dict[str, type[StoreError]] = {
    "AccessDenied": AccessDeniedError,
    "AllAccessDisabled": AccessDeniedError,
    "ExpiredToken": AccessDeniedError,
    "InvalidAccessKeyId": AccessDeniedError,
    "InvalidToken": AccessDeniedError,
    "InvalidObjectState": ArchivedError,
    "RequestTimeTooSkewed": AccessDeniedError,
    "SignatureDoesNotMatch": AccessDeniedError,
    "NoSuchBucket": BucketNotFoundError,
    "NoSuchKey": NotFoundError,
    "NoSuchUpload": NotFoundError,
    "NoSuchVersion": NotFoundError,
    "PreconditionFailed": PreconditionFailedError,
    "ConditionalRequestConflict": WriteConflictError,
    "OperationAborted": WriteConflictError,
    "InternalError": StoreUnavailableError,
    "RequestTimeout": StoreUnavailableError,
    "ServiceUnavailable": StoreUnavailableError,
    "SlowDown": StoreUnavailableError,
    "Throttling": StoreUnavailableError,
    "ThrottlingException": StoreUnavailableError,
}
"""S3's own codes (S3 API, Error responses); they say more than the status, also in a 200 answer."""

_BY_STATUS: dict[int, type[StoreError]] = {
    HTTPStatus.UNAUTHORIZED: AccessDeniedError,
    HTTPStatus.FORBIDDEN: AccessDeniedError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.REQUEST_TIMEOUT: StoreUnavailableError,
    HTTPStatus.CONFLICT: WriteConflictError,
    HTTPStatus.PRECONDITION_FAILED: PreconditionFailedError,
    HTTPStatus.TOO_MANY_REQUESTS: StoreUnavailableError,
}

_REGION_HINT = "check the region (AWS_REGION) and AWS_ENDPOINT_URL"
_NO_ANSWER_HINT = "does the store answer? check the network and AWS_ENDPOINT_URL"
_ENDPOINT_HINT = "AWS_ENDPOINT_URL needs a scheme: http://localhost:9000"
_OBSTORE_STATUS = re.compile(r"status code: (\d{3})")
_OBSTORE_CODE = re.compile(r"<Code>([^<]*)</Code>")
_OBSTORE_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")
_OBSTORE_BUCKET = re.compile(r"<BucketName>([^<]*)</BucketName>")
_OBSTORE_RESOURCE = re.compile(r"<Resource>([^<]*)</Resource>")
_URL = re.compile(r"\w+://\S+")
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[\w.-]+")
_NO_RANGE = ("non-partial response when range requested", "CONTENT_RANGE", "Requested range")


class RangeNotSatisfiableError(StoreError):
    """The range has no byte in the object (416); never leaves the store."""


def classify(
    operation: str, key: str, *, status: int | None, code: str = "", message: str = "", conditional: bool = False
) -> StoreError:
    """The error for an answer with this `status` and S3 error `code`; `conditional` is a write with If-Match."""
    detail = ": ".join(part for part in (code or (f"HTTP {status}" if status else ""), message) if part)
    kind = _BY_CODE.get(code)
    if kind is None and status is not None:
        kind = _BY_STATUS.get(status)
        if kind is None and status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED:
            kind = StoreUnavailableError
    if code == "InvalidRange" or status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        kind = RangeNotSatisfiableError if operation == "GetObject" else StoreError
    if kind is NotFoundError and conditional:
        kind = PreconditionFailedError
    moved = code in {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
    if kind is None and (moved or (status is not None and 300 <= status < 400)):  # noqa: PLR2004 - redirects
        return StoreError(operation, key, detail, hint=_REGION_HINT)
    return (kind or StoreError)(operation, key, detail)


@contextmanager
def translated(operation: str, key: str, *, conditional: bool = False) -> Iterator[None]:
    """Turn what botocore and obstore raise inside into our errors; leave all else alone."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        ours = translate(error, operation, key, conditional=conditional)
        if ours is None:
            raise
        raise ours from error


def translate(error: Exception, operation: str, key: str, *, conditional: bool = False) -> StoreError | None:
    """Our error for a client library's, or None where it isn't one."""
    module = type(error).__module__.partition(".")[0]
    if module == "obstore" or str(error).startswith(("Object at location", "Generic S3 error")):
        return _from_obstore(str(error), operation, key, conditional=conditional)
    if module in {"botocore", "boto3"} or _is_modeled(error):
        return _from_botocore(error, operation, key, conditional=conditional)
    if isinstance(error, ValueError) and str(error).startswith("Invalid endpoint"):
        return StoreError(operation, key, "the endpoint is no URL", hint=_ENDPOINT_HINT)
    return None


def _is_modeled(error: Exception) -> bool:
    """Whether it is one of the classes that botocore makes at run time, such as NoSuchKey."""
    return any(base.__module__.startswith("botocore") for base in type(error).__mro__)


def _from_botocore(error: Exception, operation: str, key: str, *, conditional: bool) -> StoreError:
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    if isinstance(error, exceptions.ClientError):
        answer = error.response
        code = str(answer.get("Error", {}).get("Code", ""))
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code.isdigit():  # a HEAD has no body: botocore puts the status where the code goes
            status, code = int(code), ""
        message = str(answer.get("Error", {}).get("Message", ""))
        told: dict[str, Any] = {**answer.get("Error", {})}  # S3's own types leave out what only some errors have
        message = _with_bucket(message, code, str(told.get("BucketName") or ""), str(told.get("Resource") or ""))
        return classify(operation, key, status=status, code=code, message=message, conditional=conditional)
    name = type(error).__name__
    denied = (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.TokenRetrievalError,
        exceptions.ProfileNotFound,
    )
    if isinstance(error, denied):
        return AccessDeniedError(operation, key, name, hint="set AWS credentials, a profile or a role")
    broken = (
        exceptions.HTTPClientError,
        exceptions.ConnectionError,
        exceptions.IncompleteReadError,
        ResponseParserError,
    )
    if isinstance(error, broken):
        asked = getattr(error, "kwargs", {}).get("endpoint_url")  # of a proxy's error it is none of ours
        where = f" at {server_of(str(asked))}" if asked else ""
        return StoreUnavailableError(operation, key, f"{name}{where}", hint=_NO_ANSWER_HINT)
    return StoreError(operation, key, _without_urls(f"{name}: {error}").splitlines()[0])


def _from_obstore(text: str, operation: str, key: str, *, conditional: bool) -> StoreError:
    text = text.partition("\n\nDebug source:")[0]
    status = _OBSTORE_STATUS.search(text)
    code = _OBSTORE_CODE.search(text)
    message = _OBSTORE_MESSAGE.search(text)
    bucket, resource = _OBSTORE_BUCKET.search(text), _OBSTORE_RESOURCE.search(text)
    if status or code:
        return classify(
            operation,
            key,
            status=int(status[1]) if status else None,
            code=code[1] if code else "",
            message=_with_bucket(*(found[1] if found else "" for found in (message, code, bucket, resource))),
            conditional=conditional,
        )
    if any(sign in text for sign in _NO_RANGE):
        return RangeNotSatisfiableError(operation, key, "no such range")
    detail = _without_urls(text).strip().splitlines()[0][:300] if text.strip() else "no answer"
    if "redirect" in text.lower():
        return StoreError(operation, key, detail, hint=_REGION_HINT)
    if "Could not parse path" in text or "signer" in text.lower():
        return StoreError(operation, key, detail)
    return StoreUnavailableError(operation, key, detail)


def _with_bucket(message: str, code: str, bucket: str, resource: str) -> str:
    """The server's words, and the bucket, which AWS names in a field of its own; others name what was asked for."""
    name = bucket or (resource if code == "NoSuchBucket" else "")
    return f"{message} ({name!r})" if name and name not in message else message


def server_of(url: str) -> str:
    """Scheme, host and port of a URL, such as `http://127.0.0.1:9000`; without credentials, path and signature."""
    try:
        parts = urlsplit(url)
        host, port = parts.netloc.rpartition("@")[2].removesuffix(f":{parts.port}"), parts.port
    except ValueError:
        return "<url>"
    if not _HOST.fullmatch(host):
        return "<url>"
    return f"{parts.scheme}://{host}{'' if port is None else f':{port}'}"


def _without_urls(text: str) -> str:
    return _URL.sub(lambda found: server_of(found[0]), text)
