"""Is there a store, does it know who asks, and does its clock agree with ours?

Said before anything else: where it is not so, every other call fails for the same reason.
Credentials are never shown, and STS is not asked: it needs rights and a way of its own.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from s3_assets.doctor.cures import is_about_who_asks
from s3_assets.doctor.findings import Finding, failed, passed, skipped, warned
from s3_assets.errors import StoreError
from s3_assets.store.s3_errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import boto3

    from s3_assets.doctor.places import Place

SKEW_TO_TELL: Final = timedelta(minutes=1)
"""From here on it is said. `Date` has whole seconds, and an answer takes a while."""

SKEW_REFUSED: Final = timedelta(minutes=15)
"""S3 refuses what is signed at a time so far from its own (S3 API, RequestTimeTooSkewed)."""

_FROM: Final = {
    "env": "the environment (AWS_ACCESS_KEY_ID)",
    "shared-credentials-file": "the shared credentials file",
    "config-file": "the config file",
    "assume-role": "a profile that assumes a role",
    "assume-role-with-web-identity": "a web identity (AWS_WEB_IDENTITY_TOKEN_FILE)",
    "container-role": "the container's role",
    "iam-role": "the instance's role",
    "sso": "single sign-on",
    "custom-process": "a credential process",
    "login": "`aws login`",
}
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


def credentials(session: boto3.Session, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Where they come from, and to which store they go."""
    with translated("GetCredentials", "AWS"):
        found = session.get_credentials()
    if found is None:
        yield failed("there are no AWS credentials", "set AWS credentials, a profile (AWS_PROFILE) or a role")
        return
    profile = f", profile {session.profile_name!r}" if environ.get("AWS_PROFILE") else ""
    region = session.region_name or environ.get("AWS_REGION")
    words = f"from {_FROM.get(found.method, found.method)}{profile}; region {region or 'not set'}"
    named = next((variable for variable in _ENDPOINTS if environ.get(variable)), None)
    words += f"; endpoint from {named}" if named else ""
    if found.method == "env" and found.get_frozen_credentials().token:
        yield warned(
            f"{words}; with a session token, which ends and which nothing renews here",
            "for a deployment, use a role or a profile that botocore renews by itself",
        )
    else:
        yield passed(words)


def connection(place: Place) -> Iterator[Finding]:
    """Whether a listing comes through to an answer that is not about who asks. What it says is not looked at."""
    try:
        for _ in islice(place.store.list(place.prefix), 1):
            pass
    except StoreError as error:
        if is_about_who_asks(error):
            yield place.diagnosis(error)
            return
    server = place.answers.server
    yield passed(f"{place.clients.endpoint_url} answers" + (f": {server}" if server else "; it does not name itself"))


def clock(place: Place) -> Iterator[Finding]:
    """How far this host's clock is from the store's, by the answers so far."""
    skews = place.answers.skews
    if not skews:
        yield skipped("no answer of the store told its time")
        return
    skew = min(skews, key=abs)
    seconds = round(abs(skew.total_seconds()))
    words = f"this host's clock is {seconds} s {'behind' if skew > timedelta(0) else 'ahead of'} the store's"
    if abs(skew) > SKEW_REFUSED:
        yield failed(words, "set this host's clock (NTP): S3 refuses requests that are 15 minutes off")
    elif abs(skew) > SKEW_TO_TELL:
        yield warned(
            words, "set this host's clock (NTP): hours begin at the wrong time, and from 15 minutes on S3 refuses"
        )
    else:
        yield passed("this host's clock and the store's agree" if seconds < 2 else words)  # noqa: PLR2004 - the grain
