"""How the two client libraries are set up: one session, one endpoint, the same limits.

boto3 decides everything that can be configured (credentials, profile, region, endpoint); obstore is told the
outcome, so the two can't disagree. Nothing is imported or read from the environment before the first call.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from s3_assets.errors import AccessDeniedError, StoreError
from s3_assets.store.s3_errors import translated
from s3_assets.store.s3_listing import read_pages_fast
from s3_assets.store.s3_server import PUT_LOCKED_APART, SECOND_CONDITION, known

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_s3 import S3Client
    from obstore.store import ClientConfig, S3Credential
    from obstore.store import S3Store as ObstoreStore

DEFAULT_REGION = "us-east-1"
"""Where none is set: compatible stores take any, and AWS answers with the right one."""

CREDENTIAL_LIFE = timedelta(minutes=10)
"""How long obstore may keep credentials that botocore refreshes: botocore hands out none that expire sooner."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often a call is tried.

    Attributes:
        attempts: Tries of one request in all, the first included.
        retry_s: No new try later than this after the first, in seconds (obstore).
        first_backoff_s: Wait before the second try, in seconds; doubles, with jitter (obstore).
        connect_s: For a connection, in seconds.
        read_s: For the next bytes of an answer, in seconds; a server copy of 5 GiB answers only when it is done.
        request_s: For one whole GET or PUT, its body included, in seconds.
        connections: Kept open at once.
    """

    attempts: int = 8
    retry_s: float = 120
    first_backoff_s: float = 0.1
    connect_s: float = 5
    read_s: float = 300
    request_s: float = 6 * 3600
    connections: int = 64


class S3Clients:
    """Makes each client once, when it is first asked for, from any thread."""

    def __init__(
        self,
        bucket: str,
        *,
        session: boto3.Session | None = None,
        endpoint_url: str | None = None,
        region: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Keep the settings; what is None comes from the session, then from the AWS environment variables."""
        self.bucket = bucket
        self.limits = limits or Limits()
        self._given_session = session
        self._endpoint_url = endpoint_url
        self._region = region
        self._lock = threading.RLock()
        self._server: str | None = None

    @property
    def boto(self) -> S3Client:
        """The boto3 client, with retries in botocore's adaptive mode."""
        with self._lock:
            return self._boto

    @property
    def obstore(self) -> ObstoreStore:
        """The obstore client of the bucket."""
        ready = self.__dict__.get("_obstore")
        if ready is not None:  # no lock on the way of each small GET
            return ready  # type: ignore[no-any-return]
        with self._lock:
            return self._obstore

    @property
    def obstore_on_condition(self) -> ObstoreStore:
        """The obstore client for PUTs with a condition, which gets a second one where the server needs it.

        Raises:
            StoreError: There was no answer.
        """
        with self._lock:
            return self._obstore_on_condition

    @property
    def server(self) -> str:
        """The `Server` header of the last answer to boto3; empty where there is none, and on AWS, which is not asked.

        Raises:
            StoreError: There was no answer.
        """
        if self._server is None and not self.is_aws:
            try:
                with translated("HeadBucket", self.bucket):
                    self.boto.head_bucket(Bucket=self.bucket)
            except StoreError:
                if self._server is None:
                    raise
        return self._server or ""

    @property
    def endpoint_url(self) -> str:
        """Where the calls go."""
        return str(self.boto.meta.endpoint_url)

    @property
    def is_aws(self) -> bool:
        """Whether that is AWS itself."""
        return _is_aws(self.boto)

    @cached_property
    def _session(self) -> boto3.Session:
        import boto3

        return self._given_session or boto3.Session()

    @cached_property
    def _boto(self) -> S3Client:
        from botocore.config import Config

        limits = self.limits
        with translated("CreateClient", self.bucket):
            session = self._session
            region = self._region or session.region_name or os.environ.get("AWS_REGION") or DEFAULT_REGION
            options: dict[str, Any] = {"region_name": region, "endpoint_url": self._endpoint_url}
            config = Config(
                retries={"mode": "adaptive", "total_max_attempts": limits.attempts},
                connect_timeout=limits.connect_s,
                read_timeout=limits.read_s,
                max_pool_connections=limits.connections,
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                tcp_keepalive=True,
            )
            by_path = config.merge(Config(s3={"addressing_style": "path"}))
            named = self._endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
            client = session.client("s3", config=by_path if named else config, **options)
            if _is_aws(client) == bool(named):  # a profile can name an endpoint too, and an endpoint can be AWS's
                client = session.client("s3", config=config if named else by_path, **options)
        read_pages_fast(client)
        client.meta.events.register("after-call.s3", self._note_server)
        client.meta.events.register("before-call.s3.PutObject", self._add_second_condition)
        return client

    def _note_server(self, http_response: Any, **_: object) -> None:
        if http_response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:  # which a proxy answers in its own name
            self._server = http_response.headers.get("Server", "")

    def _add_second_condition(self, params: dict[str, Any], **_: object) -> None:
        headers = params["headers"]
        if ("If-Match" in headers or "If-None-Match" in headers) and known(self.server, PUT_LOCKED_APART):
            headers.update(SECOND_CONDITION)

    @cached_property
    def _obstore(self) -> ObstoreStore:
        return self._make_obstore()

    @cached_property
    def _obstore_on_condition(self) -> ObstoreStore:
        if known(self.server, PUT_LOCKED_APART):
            return self._make_obstore({"default_headers": SECOND_CONDITION})  # obstore has no headers of one PUT
        return self._obstore

    def _make_obstore(self, more: ClientConfig | None = None) -> ObstoreStore:
        from obstore.store import S3Store

        limits = self.limits
        url = urlsplit(self.endpoint_url)
        by_host = self.is_aws and "." not in self.bucket  # a dot would break the certificate's wildcard
        endpoint = f"{url.scheme}://{self.bucket}.{url.netloc}" if by_host else self.endpoint_url.rstrip("/")
        return S3Store(
            self.bucket,
            region=self.boto.meta.region_name,
            aws_endpoint_url_s3=endpoint,  # before `endpoint`, and so before the environment too
            virtual_hosted_style_request=by_host,
            skip_signature=False,
            credential_provider=self._credentials(),
            client_options={
                "allow_http": url.scheme == "http",
                "connect_timeout": timedelta(seconds=limits.connect_s),
                "read_timeout": timedelta(seconds=limits.read_s),
                "timeout": timedelta(seconds=limits.request_s),
                "pool_max_idle_per_host": str(limits.connections),
                **(more or {}),
            },
            retry_config={
                "max_retries": limits.attempts - 1,
                "retry_timeout": timedelta(seconds=limits.retry_s),
                "backoff": {
                    "init_backoff": timedelta(seconds=limits.first_backoff_s),
                    "max_backoff": timedelta(seconds=min(15, limits.retry_s)),
                    "base": 2,
                },
            },
        )

    def _credentials(self) -> CredentialSource:
        with translated("GetCredentials", self.bucket):
            credentials = self._session.get_credentials()
        if credentials is None:
            hint = "set AWS credentials, a profile or a role"
            raise AccessDeniedError("GetCredentials", self.bucket, "there are no AWS credentials", hint=hint)
        return CredentialSource(credentials)


class CredentialSource:
    """Hands obstore what botocore holds, refreshed by botocore where it expires."""

    def __init__(self, credentials: Any) -> None:
        """Wrap botocore's `Credentials`."""
        from botocore.credentials import RefreshableCredentials

        self._credentials = credentials
        self._expires = isinstance(credentials, RefreshableCredentials)

    def __call__(self) -> S3Credential:
        """The credentials of this moment."""
        frozen = self._credentials.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + CREDENTIAL_LIFE if self._expires else None,
        }


def _is_aws(client: S3Client) -> bool:
    host = urlsplit(client.meta.endpoint_url).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
