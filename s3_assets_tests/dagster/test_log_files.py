"""Log files of what runs in Dagster: runs by dagster.yaml, ticks by the code location, each record once."""

import ast
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.log_manager import LOG_RECORD_METADATA_ATTR

from s3_assets import logs
from s3_assets.dagster.log_files import logged, set_up_log_files
from s3_assets.demo.stack import DAGSTER_YAML

ROOT = Path(__file__).parents[2]
PYTHON_LOGS = yaml.safe_load((ROOT / "deploy" / "dagster.yaml").read_text())["python_logs"]
SECRET = "weed-secret-1"

pytestmark = pytest.mark.filterwarnings("ignore:Parameter `owners` of initializer")  # Dagster's own copy of a sensor

_log = logging.getLogger("s3_assets.some.module")


@dg.asset
def noisy(context: dg.AssetExecutionContext) -> None:
    """Says something by itself, by a module, in a thread of it, and fails."""
    context.log.info("about to look at %s", "pay|2026-11-20-07:00")
    context.log.error("it went wrong with %s", SECRET)
    _log.info("a module says")
    thread = threading.Thread(target=lambda: _log.warning("a thread says"))
    thread.start()
    thread.join()
    raise ValueError(f"no good: {SECRET}")


@dg.resource
def word() -> str:
    """For sensors that take a resource."""
    return "late"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where files go; what was set up in this process is as before afterwards."""
    root, package = logging.getLogger(), logging.getLogger("s3_assets")
    handlers, level = list(root.handlers), package.level
    monkeypatch.setenv("S3_ASSETS_LOG_DIR", str(tmp_path / "logs"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    yield tmp_path / "logs"
    root.handlers[:] = handlers
    package.setLevel(level)


def code_location() -> dg.Definitions:
    """A job, sensors and a schedule."""
    its_job = dg.define_asset_job("its_job", selection=[noisy])

    @dg.op(required_resource_keys={"word"})
    def speak() -> None: ...

    @dg.job
    def small_job() -> None:
        speak()

    @dg.sensor(job=small_job, required_resource_keys={"word"})
    @logged
    def asking(context: dg.SensorEvaluationContext) -> dg.RunRequest:
        context.log.info("the sensor says %s", context.resources.word)
        return dg.RunRequest(run_key="a")

    @dg.sensor(job_name="its_job")
    @logged
    def failing(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        context.log.warning("not yet")
        raise dg.Failure(description=f"no {SECRET} today")

    @dg.schedule(target=noisy, cron_schedule="0 20 * * *")
    @logged
    def evening(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        context.log.info("the schedule says")
        return dg.RunRequest()

    @dg.schedule(target=noisy, cron_schedule="0 20 * * *")
    @logged
    def yielding(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        context.log.info("one by one")
        yield dg.RunRequest()

    set_up_log_files()
    return dg.Definitions(
        assets=[noisy],
        jobs=[its_job, small_job],
        sensors=[asking, failing],  # Dagster makes a copy of the first, with a job that got its resource
        schedules=[evening, yielding],
        resources={"word": word},
        executor=dg.in_process_executor,
    )


def lines(folder: Path, kind: str) -> list[str]:
    """The records of all dates, each with its further lines."""
    text = "".join(path.read_text() for path in sorted(folder.glob(f"{kind}_*.log")))
    assert SECRET not in text
    return text.replace("\n    ", " | ").splitlines()


def test_what_dagster_leaves_on_a_record_is_called_so() -> None:
    """The name is in `logs`, which does not import Dagster."""
    assert logs._META == LOG_RECORD_METADATA_ATTR


def test_the_demo_and_the_example_hand_on_the_same() -> None:
    """And both are what Dagster takes: it makes the handler when a run begins."""
    assert yaml.safe_load(DAGSTER_YAML)["python_logs"] == PYTHON_LOGS


@pytest.mark.filterwarnings("ignore:Handling yaml-defined logging configuration")
def test_a_run_writes_all_that_it_says_once_with_its_id(folder: Path, tmp_path: Path) -> None:
    """Its own words, those of modules and of their threads, and the end of a step that failed; errors with a place.

    Modules' words come by two ways, Dagster's and this process's, and stand there once, as a run's.
    """
    loaded = code_location()
    (tmp_path / "home").mkdir()
    with dg.instance_for_test(temp_dir=str(tmp_path / "home"), overrides={"python_logs": PYTHON_LOGS}) as instance:
        result = loaded.resolve_job_def("its_job").execute_in_process(instance=instance, raise_on_error=False)
        assert not result.success
        events = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert "a module says" in events
    told = lines(folder, "info")
    for says in ("about to look at pay|2026-11-20-07:00", "it went wrong with", "a module says", "a thread says"):
        [line] = [line for line in told if says in line]
        assert f" run={result.run_id} job=its_job step=noisy" in line
    own, *rest = lines(folder, "error")
    place = next(
        number for number, line in enumerate(Path(__file__).read_text().splitlines(), 1) if "it went wrong" in line
    )
    assert own.endswith(f" s3_assets_tests/dagster/test_log_files.py:{place}: it went wrong with [redacted]")
    [step] = [line for line in rest if "event=STEP_FAILURE" in line]
    assert "ValueError: no good: [redacted]" in step
    assert "test_log_files.py" in step
    assert "event=" not in own


@pytest.mark.parametrize(
    "name, says",
    [("asking", "the sensor says late"), ("evening", "the schedule says"), ("yielding", "one by one")],
)
def test_a_tick_writes_what_it_says(folder: Path, name: str, says: str) -> None:
    """What it asks for is what it is without log files."""
    loaded = code_location()
    with dg.instance_for_test() as instance:
        repository = loaded.get_repository_def()
        if name != "asking":
            when = datetime(2026, 11, 20, 20, tzinfo=UTC)
            context = dg.build_schedule_context(instance, when, repository_def=repository)
            data = repository.get_schedule_def(name).evaluate_tick(context)
        else:
            context = dg.build_sensor_context(instance, definitions=loaded, resources=loaded.resources)
            data = repository.get_sensor_def(name).evaluate_tick(context)
    assert len(data.run_requests or ()) == 1
    [line] = lines(folder, "info")
    assert line.endswith(f": {says}")
    assert lines(folder, "error") == []


def test_a_tick_that_fails_leaves_its_error(folder: Path) -> None:
    """With the trace; Dagster gets the same error as ever."""
    with dg.instance_for_test() as instance:
        repository = code_location().get_repository_def()
        context = dg.build_sensor_context(instance, repository_def=repository, sensor_name="failing")
        with pytest.raises(dg.Failure):
            repository.get_sensor_def("failing").evaluate_tick(context)
    [line] = lines(folder, "error")
    assert "the tick failed | Traceback" in line
    assert "Failure: no [redacted] today" in line
    assert [": not yet" in line for line in lines(folder, "info")] == [True, False]


def test_without_a_folder_nothing_is_touched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither this process's logs nor a tick's."""
    monkeypatch.delenv("S3_ASSETS_LOG_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    handlers = logging.getLogger().handlers[:]
    with dg.instance_for_test() as instance:
        repository = code_location().get_repository_def()
        context = dg.build_sensor_context(instance, repository_def=repository, sensor_name="failing")
        before = list(context.log.handlers)
        with pytest.raises(dg.Failure):
            repository.get_sensor_def("failing").evaluate_tick(context)
        assert context.log.handlers == before
    assert logging.getLogger().handlers == handlers
    assert list(tmp_path.iterdir()) == []


def test_every_tick_of_ours_is_logged() -> None:
    """Below each `@dg.sensor` and `@dg.schedule` stands `@logged`."""
    ticks = {}
    for path in sorted((ROOT / "s3_assets").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                names = [ast.unparse(decorator).partition("(")[0] for decorator in node.decorator_list]
                if {"dg.sensor", "dg.schedule"} & {*names}:
                    ticks[node.name] = names[1:]
    assert len(ticks) >= 5
    assert set(map(tuple, ticks.values())) == {("logged",)}


def test_settings_that_can_not_be_used_keep_no_code_location_from_loading(folder: Path, monkeypatch, capsys) -> None:
    """It says so, and its runs and ticks do too."""
    monkeypatch.setenv("S3_ASSETS_LOG_DAYS", "x")
    monkeypatch.setattr(logs.LogFiles, "_told", set())
    code_location()
    assert "S3_ASSETS_LOG_DAYS: found 'x'" in capsys.readouterr().err
    assert not folder.exists()
