"""The audit as Dagster runs it: as a check by itself, through its job, and not when hours are materialized."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from s3_assets.audit.differences import Difference, HourAudit, Kind, LeftOut, Omissions, Report, Some, Standing
from s3_assets.builder.reconcile import HourFailure, make_right
from s3_assets.dagster.audit import result_of
from s3_assets.dagster.definitions import build_definitions
from s3_assets.dagster.jobs import AUDIT_CHECK as CHECK_NAME
from s3_assets.dagster.names import Names
from s3_assets.errors import StoreUnavailableError
from s3_assets.hour_file.keys import Hour
from s3_assets.opening import open_pipeline
from s3_assets.settings import load_settings
from s3_assets_tests.dagster.conftest import Location
from s3_assets_tests.deployment import FIVE_FILES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3_assets_tests.deployment import Deployment

EVENT = "customer_new_customer_event"
SEVEN, EIGHT = (f"{EVENT}|2021-09-01-{hh}:00" for hh in ("07", "08"))


@pytest.fixture
def location(deployment: Deployment) -> Iterator[Location]:
    """The code location over a bucket with two hours that are up to date."""
    for key, data in FIVE_FILES.items():
        deployment.drop(key, data)
    with dg.DagsterInstance.ephemeral() as instance:
        with open_pipeline(load_settings(deployment.environment)) as pipeline:
            assert len(list(make_right(pipeline, [Hour.of_partition_key(key) for key in (SEVEN, EIGHT)]))) == 2
        instance.add_dynamic_partitions("event", [EVENT])
        yield Location(instance, build_definitions())


def verify(location: Location, **config: Any) -> dg.ExecuteInProcessResult:
    """Run the job."""
    job = location.definitions.resolve_job_def("verify_job")
    run_config = {"ops": {f"hourly_gzip_{CHECK_NAME}": {"config": config}}}
    return job.execute_in_process(instance=location.instance, run_config=run_config, raise_on_error=False)


def evaluation(result: dg.ExecuteInProcessResult) -> Any:
    """The one that there is."""
    assert result.success
    [found] = result.get_asset_check_evaluations()
    assert found.check_name == CHECK_NAME
    return found


def test_the_job_audits_all_and_says_what_is_wrong_and_what_fixes_it(deployment, location):
    """Passed where nothing is; a damaged file only where it is asked to look deep."""
    key = f"target/{EVENT}/2021-09-01/07.csv.gz"
    file = bytearray(deployment.store.get(key).read())
    file[30] ^= 1
    deployment.store.put(key, bytes(file))
    found = evaluation(verify(location))
    assert (found.passed, found.metadata["hours"].value, found.metadata["rows"].value) == (True, 2, 5)
    found = evaluation(verify(location, deep=True))
    assert not found.passed
    [record] = found.metadata["differences"].records
    assert (record.data["standing"], record.data["hour"]) == ("wrong", SEVEN)
    assert record.data["fix"].startswith(f"s3-assets sync --rebuild --event {EVENT} --from 2021-09-01-07:00")
    found = evaluation(verify(location, deep=True, first="2021-09-01T08:00", events=["other", EVENT]))
    assert (found.passed, found.metadata["hours"].value) == (True, 1)


def test_materializing_does_not_run_it(location):
    """The sensor's run config says nothing of it, and its step is left out."""
    result = location.run({"ops": {"hourly_gzip": {"config": {"partition_keys": [SEVEN]}}}})
    assert result.success
    evaluated = [found.check_name for found in result.get_asset_check_evaluations()]
    assert "no_quarantined_sources" in evaluated
    assert CHECK_NAME not in evaluated


def test_the_check_runs_by_itself(location):
    """As its button in the UI does: the implicit job of all assets, with nothing but the check selected."""
    key = dg.AssetCheckKey(dg.AssetKey("hourly_gzip"), CHECK_NAME)
    graph = location.definitions.resolve_implicit_global_asset_job_def()
    job = graph.get_subset(asset_selection=set(), asset_check_selection={key})
    assert evaluation(job.execute_in_process(instance=location.instance, raise_on_error=False)).passed


def test_a_range_that_is_none_fails_the_run_with_what_is_wrong(location):
    """Before anything is listed."""
    result = verify(location, first="2021-09-02-00:00", last="2021-09-01-00:00")
    assert not result.success
    [failure] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert "is after the last 2021-09-01-00:00" in str(failure.user_failure_data.description)


def test_what_is_left_out_passes_and_is_named():
    """In the description, which the list of checks shows, and in a table."""
    report = Report()
    bad = LeftOut("e", "e/2021-09-01/07_00_a.csv", "unclosed quote", "a quote is never closed")
    left = Omissions(quarantined=Some.of([bad]), vanished_sources=1, vanished_rows=2, lost_sources=3, lost_rows=4)
    report.add(HourAudit(Hour("e", "2021-09-01-07:00"), (), 3, 6, omissions=left))
    result = result_of(report, [], Names())
    assert result.passed
    assert result.description == (
        "1 hour, 3 sources, 6 rows: no difference; 2 rows of 1 vanished source stay; 4 rows of 3 vanished sources are "
        "gone for good; 1 source is quarantined: e/2021-09-01/07_00_a.csv (unclosed quote): a quote is never closed"
    )
    counts = ("quarantined", "vanished_sources", "vanished_rows", "gone_for_good_sources", "gone_for_good_rows")
    assert [result.metadata[name].value for name in counts] == [1, 1, 2, 3, 4]
    [record] = result.metadata["left_out"].records
    assert (record.data["kind"], record.data["key"]) == ("quarantined", bad.key)


def test_behind_passes_and_an_hour_that_was_not_audited_does_not():
    """Neither is taken for the other."""
    report = Report()
    report.note(
        [Difference(Kind.NOT_INGESTED, Standing.BEHIND, "new", "s3-assets sync", Hour("e", "2021-09-01-07:00"))]
    )
    result = result_of(report, [], Names())
    assert (result.passed, result.description) == (True, "0 hours, 0 sources, 0 rows: 0 wrong, 1 behind")
    failure = HourFailure(Hour("e", "2021-09-01-08:00"), StoreUnavailableError("GetObject", "k", "503"))
    result = result_of(report, [failure], Names())
    assert not result.passed
    assert "1 hour could not be audited" in str(result.description)
    assert result.metadata["first_not_audited"].value == "e 2021-09-01-08:00: GetObject 'k': 503"
