"""What an error of the store means for who set it up: which of the settings, rights and clocks is wrong.

The codes are S3's own (S3 API, Error responses); compatible stores use the same. No call is made here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3_assets.doctor.findings import Finding, failed
from s3_assets.doctor.policy import action_of
from s3_assets.errors import AccessDeniedError, BucketNotFoundError, StoreUnavailableError

if TYPE_CHECKING:
    from s3_assets.errors import StoreError

_CREDENTIALS = (
    "set the right AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or profile or role, for this endpoint, and look for "
    "older ones that come first (environment before profile before role)"
)
_RENEW = "get new ones, or use a role that is renewed by itself"
_CLOCK = "set this host's clock (NTP)"
_WHO_ASKS = {
    "InvalidAccessKeyId": ("the store does not know this access key", _CREDENTIALS),
    "InvalidClientTokenId": ("the store does not know this access key", _CREDENTIALS),
    "UnrecognizedClientException": ("the store does not know this access key", _CREDENTIALS),
    "SignatureDoesNotMatch": ("the secret does not belong to the access key", _CREDENTIALS),
    "InvalidToken": ("the session token is not right", _CREDENTIALS),
    "ExpiredToken": ("these credentials have ended", _RENEW),
    "ExpiredTokenException": ("these credentials have ended", _RENEW),
    "RequestTimeTooSkewed": ("this host's clock is too far from the store's", _CLOCK),
    "RequestExpired": ("this host's clock is too far from the store's", _CLOCK),
}
"""Codes that are about who asks, or when: what they mean, and what to do."""

POLICY = "`s3-assets doctor --policy` prints all that is needed"


def code_of(error: StoreError) -> str:
    """The server's own code, or its HTTP status, or the client's word for what happened."""
    return error.detail.partition(":")[0].strip()


def is_about_who_asks(error: StoreError) -> bool:
    """Whether it is the credentials, the clock or the way to the store, so that every other call would fail too."""
    no_credentials = isinstance(error, AccessDeniedError) and error.operation in ("GetCredentials", "CreateClient")
    region = not isinstance(error, AccessDeniedError | BucketNotFoundError) and "AWS_REGION" in error.hint
    endpoint = "AWS_ENDPOINT_URL" in error.hint and not isinstance(error, BucketNotFoundError)
    unreachable = isinstance(error, StoreUnavailableError)
    without = "Credentials" in code_of(error) or "ProfileNotFound" in code_of(error)
    return code_of(error) in _WHO_ASKS or no_credentials or region or endpoint or unreachable or without


def diagnosis(error: StoreError, *, variable: str, resource: str, endpoint: str) -> Finding:
    """The finding for a call that failed.

    Args:
        error: What the store layer raised.
        variable: The setting that says where the call went.
        resource: The ARN that the call was about.
        endpoint: Where it was sent.
    """
    code = code_of(error)
    if code in _WHO_ASKS:
        words, todo = _WHO_ASKS[code]
        return failed(f"{error.operation}: {code}: {words}", todo)
    if isinstance(error, BucketNotFoundError):
        bucket = resource.rpartition(":")[2].partition("/")[0]
        return failed(
            f"{error.operation}: there is no bucket {bucket!r} at {endpoint}",
            f"check the bucket in {variable}, and that AWS_REGION and AWS_ENDPOINT_URL are of the store that has it",
        )
    if isinstance(error, AccessDeniedError) and not error.hint.startswith("set AWS"):
        action = action_of(error.operation)
        if action is not None:
            return failed(f"{error}", f"allow {action} on {resource}; {POLICY}")
    if isinstance(error, StoreUnavailableError):
        return failed(
            f"{error.operation}: no good answer from {endpoint}: {error.detail}",
            "does the store answer? check AWS_ENDPOINT_URL (or the region), the network and any proxy",
        )
    return failed(str(error), error.hint or "look at the store's own log")
