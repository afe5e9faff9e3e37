"""What `replay` asks of Dagster's webserver, by GraphQL: launching, watching and ending runs.

Nothing here knows what a replay is. An error is what the webserver said, in words, with what to do.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError

from s3_assets.errors import S3AssetsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

RUNS_A_PAGE: Final = 500
EVENTS_A_PAGE: Final = 1000

TERMINATED_AT_ONCE: Final = 20
"""Runs in one request to end them: the webserver ends them one by one before it answers."""

MOST_WORDS: Final = 600
"""Characters that are kept of an error's words."""

HEARTBEAT_LATE_S: Final = 180.0
"""A daemon beats every 30 s; one that has not for so long is taken for dead. Dagster itself waits half an hour."""

TIMEOUT_S: Final = 60
"""Of one request to the webserver, in seconds."""

_LOCATIONS = """
query { workspaceOrError { __typename
  ... on PythonError { message }
  ... on Workspace { locationEntries { name loadStatus locationOrLoadError {
    __typename
    ... on PythonError { message }
    ... on RepositoryLocation { repositories { name jobs { name } } }
  } } }
} }
"""

_DAEMON = """
query { instance { runQueuingSupported daemonHealth {
  daemonStatus(daemonType: "QUEUED_RUN_COORDINATOR") { healthy lastHeartbeatTime }
} } }
"""

_RUNS = """
query ($filter: RunsFilter!, $limit: Int!, $cursor: String, $counted: Boolean!) {
  runsOrError(filter: $filter, limit: $limit, cursor: $cursor) { __typename
    ... on PythonError { message }
    ... on InvalidPipelineRunsFilterError { message }
    ... on Runs { results {
      runId status
      tags @include(if: $counted) { key value }
      stats @include(if: $counted) { ... on RunStatsSnapshot { materializations } }
    } }
} }
"""

_EVENTS = """
query ($run: ID!, $after: String, $limit: Int!) { logsForRun(runId: $run, afterCursor: $after, limit: $limit) {
  __typename
  ... on EventConnection { cursor hasMore events { __typename
    ... on ExecutionStepFailureEvent { failureMetadata { description } error { message } }
    ... on RunFailureEvent { message }
  } }
} }
"""


class WebserverError(S3AssetsError):
    """Dagster's webserver can't be used for this."""


class WebserverUnavailableError(WebserverError):
    """Dagster's webserver did not answer: it may be starting or restarting."""

    retryable = True
    hint = (
        "is `dagster dev` or `dagster-webserver` running, and is this its address? "
        "Give it as --url or S3_ASSETS_DAGSTER_URL"
    )


class Webserver:
    """What a replay asks of Dagster's webserver. Launching and ending runs is Dagster's own client's business.

    All methods raise `WebserverError`, or `WebserverUnavailableError` where it did not answer.
    """

    def __init__(self, url: str) -> None:
        """For the webserver at `url`, an http or https address without credentials; makes no call."""
        parts = urlsplit(url)
        self.url = url
        self._client = DagsterGraphQLClient(
            parts.hostname or "",
            port_number=parts.port,
            use_https=parts.scheme == "https",
            path_prefix=parts.path.rstrip("/"),
            timeout=TIMEOUT_S,
        )

    def home_of_the_jobs(self, jobs: Sequence[str], location: str | None) -> tuple[str, str]:
        """The code location and the repository that have the jobs; of several, `location` says which.

        Args:
            jobs: The first tells a code location of ours from others, which may be in the same workspace.
            location: Its name; None for the only one.
        """
        workspace = self._ask(_LOCATIONS, {})["workspaceOrError"]
        if workspace["__typename"] != "Workspace":
            raise WebserverError(f"{self.url} has no workspace: {_first_line(workspace.get('message'))}")
        homes = {
            (entry["name"], repository["name"]): {job["name"] for job in repository["jobs"]}
            for entry in workspace["locationEntries"]
            if location is None or entry["name"] == location
            for repository in (entry["locationOrLoadError"] or {}).get("repositories", ())
            if any(job["name"] == jobs[0] for job in repository["jobs"])
        }
        if not homes:
            there = "; ".join(_entry_in_words(entry) for entry in workspace["locationEntries"]) or "none"
            raise WebserverError(
                f"no code location{'' if location is None else f' {location!r}'} at {self.url} has {jobs[0]}; "
                f"there are: {there}",
                hint="start the webserver with the workspace of s3_assets, mend what keeps it from loading, or give "
                "the address of the right one as --url",
            )
        if len(homes) > 1:
            raise WebserverError(
                f"several code locations have {jobs[0]}: {', '.join(sorted(name for name, _ in homes))}",
                hint="say which with --location",
            )
        [(home, theirs)] = homes.items()
        if missing := [job for job in jobs if job not in theirs]:
            raise WebserverError(
                f"the code location {home[0]!r} has no {', '.join(missing)}",
                hint="give it the same S3_ASSETS_CONFIG as here, and reload it: groups are read when it loads",
            )
        return home

    def queue_problem(self, now: float) -> str:
        """Why runs would stay in the queue, as far as the daemon's heartbeat tells; empty where they would not.

        Args:
            now: Seconds since the epoch.
        """
        instance = self._ask(_DAEMON, {})["instance"]
        if not instance["runQueuingSupported"]:
            return ""  # runs are launched at once, without a daemon
        status = instance["daemonHealth"]["daemonStatus"]
        beat = status["lastHeartbeatTime"]
        if beat is None:
            return "no Dagster daemon has ever run here to take runs from the queue"
        if now - beat > HEARTBEAT_LATE_S or not status["healthy"]:
            return f"no Dagster daemon takes runs from the queue: the last sign of one is {now - beat:,.0f} s old"
        return ""

    def launch(self, job: str, home: tuple[str, str], config: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Launch a job; the run's id."""
        location, repository = home
        try:
            return self._client.submit_job_execution(
                job,
                repository_location_name=location,
                repository_name=repository,
                run_config=config,
                tags=dict(tags),
            )
        except DagsterGraphQLClientError as error:
            raise self._refused("a run can't be launched", error) from None

    def terminate(self, run_ids: Sequence[str]) -> Iterator[str]:
        """Tell runs to end, in this order; yields what was said of those that can't be."""
        for start in range(0, len(run_ids), TERMINATED_AT_ONCE):
            try:
                self._client.terminate_runs(list(run_ids[start : start + TERMINATED_AT_ONCE]))
            except DagsterGraphQLClientError as error:
                if error.__cause__ is not None:
                    raise self._refused("runs can't be ended", error) from None
                yield str(error.args[-1])[:MOST_WORDS]

    def seen(self, run_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Status, tags and number of materializations of runs, by their ids; those that are gone are left out."""
        variables = {"filter": {"runIds": list(run_ids)}, "limit": len(run_ids), "cursor": None, "counted": True}
        return {
            run["runId"]: {
                "status": run["status"],
                "tags": {tag["key"]: tag["value"] for tag in run["tags"]},
                "materializations": run["stats"].get("materializations", 0),
            }
            for run in self._runs(variables)
        }

    def all_runs(self, which: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The id and the status of all runs that a filter finds, newest first."""
        cursor = None
        while True:
            page = self._runs({"filter": which, "limit": RUNS_A_PAGE, "cursor": cursor, "counted": False})
            yield from page
            if len(page) < RUNS_A_PAGE:
                return
            cursor = page[-1]["runId"]

    def words_of(self, run_id: str) -> str:
        """Why a run failed, as its step or Dagster says it."""
        after, words = None, ""
        while True:
            log = self._ask(_EVENTS, {"run": run_id, "after": after, "limit": EVENTS_A_PAGE})["logsForRun"]
            for event in log.get("events", ()):
                if event["__typename"] == "ExecutionStepFailureEvent":
                    said = (event["failureMetadata"] or {}).get("description") or (event["error"] or {}).get("message")
                    return (said or "").strip()[:MOST_WORDS]
                if event["__typename"] == "RunFailureEvent":
                    words = event["message"].strip()[:MOST_WORDS]
            if not log.get("hasMore"):
                return words
            after = log["cursor"]

    def _runs(self, variables: Mapping[str, Any]) -> list[dict[str, Any]]:
        found = self._ask(_RUNS, variables)["runsOrError"]
        if found["__typename"] != "Runs":
            raise WebserverError(f"{self.url} does not tell of runs: {_first_line(found.get('message'))}")
        runs: list[dict[str, Any]] = found["results"]
        return runs

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The data of the answer to a query that changes nothing."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(  # noqa: S310 - http or https, which the option and the setting see to
            f"{self.url}/graphql", body, {"Content-Type": "application/json", "Accept": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
                answer = json.load(response)
            data, errors = answer.get("data"), answer.get("errors")
        except urllib.error.HTTPError as error:
            with error:  # its body is of no use here
                pass
            if error.code in (502, 503, 504):
                raise WebserverUnavailableError(f"{self.url} answers with HTTP {error.code}") from None
            raise self._no_dagster(f"HTTP {error.code}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise WebserverUnavailableError(f"no webserver answers at {self.url}: {reason}") from None
        except (ValueError, AttributeError):
            raise self._no_dagster("something that is no GraphQL") from None
        if errors or not isinstance(data, dict):
            told = errors[0].get("message") if errors else "nothing"
            raise self._no_dagster(f"an error: {_first_line(told)}")
        return data

    def _no_dagster(self, what: str) -> WebserverError:
        return WebserverError(
            f"{self.url} answers with {what}",
            hint="is it the address of a Dagster webserver of release 1.13, as a browser opens it, path prefix "
            "included? Give it as --url or S3_ASSETS_DAGSTER_URL",
        )

    def _refused(self, what: str, error: DagsterGraphQLClientError) -> WebserverError:
        """What Dagster's client says, without the query and the config, which it repeats in full."""
        if error.__cause__ is not None:
            return WebserverUnavailableError(f"{what} by {self.url}: {_first_line(str(error.__cause__))}")
        kind, *details = error.args
        told = "; ".join(str(d.get("message", d)) if isinstance(d, dict) else str(d) for d in _flat(details))
        hint = "the webserver is read-only: give the address of another as --url" if kind == "UnauthorizedError" else ""
        return WebserverError(f"{what} by {self.url}: {kind}: {told[:MOST_WORDS]}", hint=hint)


def _flat(details: Sequence[Any]) -> Iterator[Any]:
    for detail in details:
        yield from detail if isinstance(detail, list) else [detail]


def _entry_in_words(entry: Mapping[str, Any]) -> str:
    found = entry["locationOrLoadError"]
    if found is None or entry["loadStatus"] == "LOADING":
        return f"{entry['name']}, which is still loading"
    if found["__typename"] == "PythonError":
        return f"{entry['name']}, which could not be loaded: {_first_line(found['message'])}"
    return str(entry["name"])


def _first_line(text: object) -> str:
    lines = str(text or "").strip().splitlines()
    return lines[0][:MOST_WORDS] if lines else "no words"
