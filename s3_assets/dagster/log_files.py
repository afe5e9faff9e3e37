"""Log files in a code location: what the package's modules say in any of its processes, and what ticks say.

What runs say comes by `python_logs` in dagster.yaml (docs/logs.md), which is how Dagster hands its records on, with the
id of the run. It has no such way for sensors and schedules: a tick's logger has no parent and is made anew each time,
so there it is given the files as one more handler. Nothing here decides what a line looks like: `s3_assets.logs` does.
"""

import functools
import inspect
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import dagster as dg

from s3_assets.errors import SettingsError
from s3_assets.logs import LogFiles, set_up
from s3_assets.settings import SETTINGS

P = ParamSpec("P")
T = TypeVar("T")

_LOG_DIR = next(setting.variable for setting in SETTINGS if setting.name == "log_dir")


def set_up_log_files() -> None:
    """Have this process's modules write to the files, where a folder for them is set."""
    if not os.environ.get(_LOG_DIR):
        return
    try:
        set_up(os.environ)
    except SettingsError:  # a run or a tick says so, with all else that is wrong; LogFiles tells it on stderr
        LogFiles()


def logged(evaluate: Callable[P, T]) -> Callable[P, T]:
    """A sensor's or a schedule's function: what its context's log is told, and the error that ends it, go to the files.

    Stands below `@dg.sensor` and `@dg.schedule`, which look at the function through it.
    """

    @functools.wraps(evaluate)
    def tick(*args: P.args, **kwargs: P.kwargs) -> T:
        contexts = (dg.SensorEvaluationContext, dg.ScheduleEvaluationContext)
        log = next((each.log for each in (*args, *kwargs.values()) if isinstance(each, contexts)), None)
        if log is None or not os.environ.get(_LOG_DIR):
            return evaluate(*args, **kwargs)
        with _in_files(log):
            result: Any = evaluate(*args, **kwargs)
            # A function that yields has said nothing yet; Dagster takes its words from a generator only.
            return (each for each in list(result)) if inspect.isgenerator(result) else result  # type: ignore[return-value]

    return tick


@contextmanager
def _in_files(log: logging.Logger) -> Iterator[None]:
    files = LogFiles()
    log.addHandler(files)
    try:
        yield
    except Exception as error:  # for files alone: Dagster tells it in its own way
        told = (type(error), error, error.__traceback__)
        files.handle(
            log.makeRecord(log.name, logging.ERROR, __file__, 0, "the tick failed", (), told, None, None, None)
        )
        raise
    finally:
        log.removeHandler(files)
