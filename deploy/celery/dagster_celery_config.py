# ruff: noqa: INP001  (a folder to put on PYTHONPATH, no package)
"""What a Celery worker is told: dagster-celery reads the module of this name. docs/celery.md says how to start one."""

import os

broker_url = result_backend = os.environ["DAGSTER_CELERY_BROKER"]
broker_connection_retry_on_startup = True  # a worker may be up before Redis is

# A busy worker leaves a run in the queue for an idle one, and takes none along when it is killed. For Redis only.
worker_disable_prefetch = True

# A run is handed out once. With True, Redis would hand a killed worker's run out again after an hour, and Dagster would
# ignore it, since it has begun. Dagster launches another run instead, when it has noticed that no worker has the first.
task_acks_late = False

worker_redirect_stdouts = False  # what runs print is no warning of the worker's
result_extended = True  # a result says which worker it came from; the run's own story is in Dagster
result_expires = 86_400  # seconds
