"""A run launcher for Celery workers that can tell whether a run still lives: dagster-celery's, with two things mended.

dagster-celery's own believes what the result backend last heard of a run's task. A worker that was killed says nothing
more, so its run stays started until `max_runtime_seconds`, and keeps its slot. This one asks the workers what they are
working on; a run that no worker has, look after look, is lost: run monitoring ends it, and its hours are asked for
again. And a run that somebody cancels is first said to be cancelling: else its interruption counts as a failure, and
`run_retries` starts it again.

It needs the extra `deploy` where the daemon and the webserver run. Workers with Celery's `solo` pool can't answer while
they work: leave them the default, `prefork`. How workers are started is no business of this module: docs/celery.md.
"""

import time
from typing import Any, Final

import dagster as dg
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from s3_assets.dagster.internals import CheckRunHealthResult, WorkerStatus

ANSWER_S: Final = 3.0
"""So long the workers may take to say what they work on, in seconds; all of it is waited for, since any may be last."""

LOOK_S: Final = 10.0
"""One answer is good for so long, in seconds: run monitoring asks about all runs, one after the other."""

SILENCE_S: Final = 60.0
"""A run that no worker has had for so long is lost, in seconds; a worker may be finding its broker again."""


class WatchedCeleryLauncher(CeleryRunLauncher):
    """For `run_launcher` in dagster.yaml, with the config of dagster-celery's; `run_monitoring` has to be on."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._asked = float("-inf")
        self._at_work: frozenset[str] = frozenset()
        self._missed: dict[str, float] = {}

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether a worker has its task; where the broker can't be asked, Celery's error, and nothing is concluded."""
        now, task = time.monotonic(), run.tags.get(DAGSTER_CELERY_TASK_ID_TAG, "")
        if task in self._tasks_at_work(now):
            self._missed.pop(task, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        missed_s = now - self._missed.setdefault(task, now)
        if missed_s < SILENCE_S:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "no worker says that it has it; they are asked again")
        del self._missed[task]
        words = f"no worker has had it for {missed_s:.0f} s: the one that did was killed, or is cut off from the broker"
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, words)

    def terminate(self, run_id: str) -> bool:
        """Interrupt a run, or keep it from beginning; False where there is nothing to end."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished or DAGSTER_CELERY_TASK_ID_TAG not in run.tags:
            return False
        self._instance.report_run_canceling(run)
        is_told: bool = super().terminate(run_id)
        return is_told

    def _tasks_at_work(self, now: float) -> frozenset[str]:
        """The ids of the tasks that any worker is working on."""
        if now - self._asked > LOOK_S:
            answers = self.celery.control.inspect(timeout=ANSWER_S).active() or {}
            self._at_work = frozenset(task["id"] for tasks in answers.values() for task in tasks)
            self._asked = now
        return self._at_work
