"""A run launcher that can tell whether a run still lives: Dagster's default one, which has the code server start runs.

Dagster's own asks nobody: a run that died together with its code server (a machine that went down, a container that was
evicted) stays started for ever, and keeps its slot in the pool, so that no other hour is made. This one asks at the
address that started the run; where another process answers there, which does not know the run, run monitoring ends it,
and its hours are asked for again. Where nobody answers it can't be told, and the run is let be: a code server may be
restarting. Launchers for Docker, Kubernetes and ECS ask by themselves.
"""

import dagster as dg

from s3_assets.dagster.internals import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus, code_server_has_run


class WatchedRunLauncher(DefaultRunLauncher):
    """For `run_launcher` in dagster.yaml; `run_monitoring` has to be on."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """It does: run monitoring then asks, now and then, about each run that has started."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the code server that started the run still has it."""
        match code_server_has_run(self, run.run_id):
            case True:
                return CheckRunHealthResult(WorkerStatus.RUNNING)
            case False:
                words = "its code server was started anew, and does not know it"
                return CheckRunHealthResult(WorkerStatus.NOT_FOUND, words)
            case None:
                return CheckRunHealthResult(WorkerStatus.RUNNING, "no code server can be asked about it now")
