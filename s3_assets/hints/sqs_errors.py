"""The one place where botocore's exceptions about the queue become ours.

Only the code and the first line of the message are taken over: the lines after it may repeat the signed request, with
its session token. So an answer's exception is no cause of ours: a log with a trace would show it.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from s3_assets.errors import HintQueueError, HintQueueUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ACTIONS = "sqs:ReceiveMessage, sqs:DeleteMessage and sqs:ChangeMessageVisibility"
_ALLOW_HINT = f"allow {_ACTIONS} on the queue, and kms:Decrypt where it is encrypted with a key of yours"
_CREDENTIALS_HINT = "set AWS credentials, a profile or a role"
_GONE_HINT = "check S3_ASSETS_HINTS_QUEUE: account, region and name; until it is there, the listing finds all"
_NO_ANSWER_HINT = "does SQS answer at the address in S3_ASSETS_HINTS_QUEUE? the listing finds all meanwhile"

_GONE = {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "InvalidAddress", "QueueDeletedRecently"}
_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "InvalidSignatureException",
    "KmsAccessDenied",
    "MissingAuthenticationToken",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_LATER = {
    "InternalError",
    "InternalFailure",
    "KmsThrottled",
    "OverLimit",
    "RequestThrottled",
    "RequestTimeout",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
}
_SHOWN_CHARACTERS = 300
_URL = re.compile(r"\w+://\S+")


@contextmanager
def translated(operation: str, queue: str) -> Iterator[None]:
    """Turn what botocore raises inside into a `HintQueueError`; leave all else alone.

    Args:
        operation: SQS's own name of it.
        queue: The queue's name.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as error:
        answer = error.response
        code = str(answer.get("Error", {}).get("Code", ""))
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
        message = str(answer.get("Error", {}).get("Message", ""))
        raise classify(operation, queue, status=status, code=code, message=message) from None
    except ResponseParserError as error:
        raise HintQueueUnavailableError(operation, queue, type(error).__name__, hint=_NO_ANSWER_HINT) from error
    except BotoCoreError as error:
        raise _from_botocore(error, operation, queue) from error
    except ValueError as error:
        if not str(error).startswith("Invalid endpoint"):
            raise
        raise HintQueueError(operation, queue, "the queue's address is no URL", hint=_GONE_HINT) from error


def classify(operation: str, queue: str, *, status: int | None, code: str = "", message: str = "") -> HintQueueError:
    """The error for an answer with this HTTP `status` and SQS error `code`."""
    detail = ": ".join(part for part in (code or f"HTTP {status}", _shown(message)) if part)
    if code in _GONE:
        return HintQueueError(operation, queue, detail, hint=_GONE_HINT)
    if code in _DENIED or code.startswith(("KMS.", "Kms")):
        kind = HintQueueUnavailableError if code in _LATER else HintQueueError
        return kind(operation, queue, detail, hint=_ALLOW_HINT)
    unwell = status is not None and (
        status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS
    )
    if code in _LATER or unwell:
        return HintQueueUnavailableError(operation, queue, detail, hint=_NO_ANSWER_HINT)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return HintQueueError(operation, queue, detail, hint=_ALLOW_HINT)
    return HintQueueError(operation, queue, detail)


def _from_botocore(error: Exception, operation: str, queue: str) -> HintQueueError:
    from botocore import exceptions

    name = type(error).__name__
    denied = (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.TokenRetrievalError,
        exceptions.ProfileNotFound,
    )
    if isinstance(error, denied):
        return HintQueueError(operation, queue, name, hint=_CREDENTIALS_HINT)
    if isinstance(error, (exceptions.HTTPClientError, exceptions.ConnectionError, exceptions.IncompleteReadError)):
        return HintQueueUnavailableError(operation, queue, name, hint=_NO_ANSWER_HINT)
    return HintQueueError(operation, queue, _shown(f"{name}: {error}"))


def _shown(text: str) -> str:
    lines = _URL.sub("<url>", text).strip().splitlines()
    return lines[0][:_SHOWN_CHARACTERS] if lines else ""
