"""The table of settings: what each variable is called, what it means, which values it takes.

A new variable is one row here, and one field of the dataclass that takes it. Not what the text of a value may be (that
is in `values`), and not the reading of an environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

from s3_assets.hour_file.keys import DEFAULT_SOURCE_PATTERN
from s3_assets.settings.values import (
    EARLIEST,
    LargeCommit,
    read_cron,
    read_date,
    read_directory,
    read_large_commit,
    read_listen_address,
    read_location,
    read_log_format,
    read_pattern,
    read_prom_file,
    read_queue_url,
    read_slack_channel,
    read_slack_token,
    read_web_address,
    read_whole_number,
    read_zone,
)

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE_PREFIX: Final = "S3_ASSETS_"


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable.

    Attributes:
        name: Of the field that takes it; the variable is this in capitals, after `S3_ASSETS_`.
        meaning: For the docs: Markdown, one paragraph.
        values: What is valid, to follow 'needs'.
        example: A valid value.
        read: Text to value; raises `RefusedError`.
        default: As one would write it; None where there is none.
        required: Whether it must be given; a `backup_` row's only where the backup is asked for.
        unit: Of the number; empty where it is none.
        secret: Whether no one may see it: it can't be written down where settings are shown.
    """

    name: str
    meaning: str
    values: str
    example: str
    read: Callable[[str], Any]
    default: str | None = None
    required: bool = False
    unit: str = ""
    secret: bool = False

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return VARIABLE_PREFIX + self.name.upper()

    def problem(self, found: object) -> str:
        """The line for `SettingsError`."""
        return f"{self.variable}: {found}; needs {self.values}, for example {self.example}"


SETTINGS: Final = (
    Setting(
        name="source",
        meaning="Where producers drop their CSV objects. Read only.",
        values="s3://bucket/prefix/, neither holding the target nor in it",
        example="s3://my-raw-bucket/source/",
        read=read_location,
        required=True,
    ),
    Setting(
        name="target",
        meaning="Where the hour files go: `{event}/{YYYY-MM-DD}/{HH}.csv.gz` below it.",
        values="s3://bucket/prefix/, neither holding the source nor in it",
        example="s3://my-hourly-bucket/target/",
        read=read_location,
        required=True,
    ),
    Setting(
        name="start_date",
        meaning="The first day of the hour partitions. Source objects of earlier days are counted and left alone.",
        values=f"a day as YYYY-MM-DD, not before {EARLIEST}",
        example="2024-06-01",
        read=read_date,
        default="2021-01-01",
    ),
    Setting(
        name="config",
        meaning="Path of a TOML file with policies of events, the files of the backup and routes of alerts, see below.",
        values="the path of a file that can be read",
        example="/etc/s3_assets.toml",
        read=str,
    ),
    Setting(
        name="source_pattern",
        meaning="How source keys are written, below the source prefix.",
        values="folders with `{event}` and `{date}` and a file name with `{HH}`, `{MM}` and `{name}`",
        example="exports/{event}/{date}/{HH}_{MM}_{name}.csv",
        read=read_pattern,
        default=DEFAULT_SOURCE_PATTERN,
    ),
    Setting(
        name="fetch_threads",
        meaning="How many source objects one process downloads at the same time.",
        values="a whole number from 1 to 256",
        example="32",
        read=read_whole_number(1, 256),
        default="16",
        unit="threads",
    ),
    Setting(
        name="hour_threads",
        meaning="How many hours one run builds at the same time.",
        values="a whole number from 1 to 64",
        example="8",
        read=read_whole_number(1, 64),
        default="4",
        unit="threads",
    ),
    Setting(
        name="hours_per_run",
        meaning="How many hours the sensor puts into one run at most.",
        values="a whole number from 1 to 10000",
        example="500",
        read=read_whole_number(1, 10_000),
        default="500",
        unit="hours",
    ),
    Setting(
        name="megabytes_per_run",
        meaning="How many MB of sources (10⁶ bytes) the sensor puts into one run at most; a larger hour has its own.",
        values="a whole number from 1 to 100000000",
        example="2000",
        read=read_whole_number(1, 100_000_000),
        default="5000",
        unit="MB",
    ),
    Setting(
        name="tick_seconds",
        meaning=(
            "How long a tick of the sensor may look around. What it does not get to waits for the next one. Dagster "
            "ends a tick after 60 s (`DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS`)."
        ),
        values="a whole number from 2 to 50",
        example="20",
        read=read_whole_number(2, 50),
        default="10",
        unit="seconds",
    ),
    Setting(
        name="tick_requests",
        meaning="How many listing requests a tick may make, of up to 1,000 keys each.",
        values="a whole number from 50 to 100000",
        example="2000",
        read=read_whole_number(50, 100_000),
        default="500",
        unit="requests",
    ),
    Setting(
        name="hot_days",
        meaning=(
            "How many dates every tick looks at, today (UTC) and those before it. What arrives for older dates is "
            "found when the sweep comes by."
        ),
        values="a whole number from 1 to 31",
        example="3",
        read=read_whole_number(1, 31),
        default="2",
        unit="days",
    ),
    Setting(
        name="grid_days",
        meaning=(
            "How many days the partition grid of the UI goes back, and on to the first of that month; 0 is all since "
            "the start date. It is counted when definitions load. Older hours are made right all the same: the sensor "
            "asks for them, their materializations are on record, and only the grid and its backfills leave them out."
        ),
        values="a whole number from 0 to 36500",
        example="90",
        read=read_whole_number(0, 36_500),
        default="0",
        unit="days",
    ),
    Setting(
        name="large_commit",
        meaning=(
            "How a multipart upload takes its final place: `complete` (CompleteMultipartUpload on a condition), "
            "`stage` (upload next to it, then copy on a condition) or `spool` (one conditional PUT). `auto` asks the "
            "server what it honours and takes the first that is safe."
        ),
        values=", ".join(get_args(LargeCommit)[:-1]) + f" or {get_args(LargeCommit)[-1]}",
        example="complete",
        read=read_large_commit,
        default="auto",
    ),
    Setting(
        name="backup_dir",
        meaning=(
            "The local folder that the daily backup uploads. Where it is set when definitions load, `daily_backup` and "
            "its schedule are there."
        ),
        values="the absolute path of a folder",
        example="/var/lib/events",
        read=read_directory,
    ),
    Setting(
        name="backup_target",
        meaning=(
            "Where the backup goes: `{YYYY-MM-DD}/{relative path}` below it. Only one host may back up to it. Needed "
            "with S3_ASSETS_BACKUP_DIR."
        ),
        values="s3://bucket/prefix/, apart from S3_ASSETS_SOURCE and S3_ASSETS_TARGET",
        example="s3://my-backup-bucket/events/",
        read=read_location,
    ),
    Setting(
        name="backup_start_date",
        meaning=(
            "The first day of the backup: from then on, a day that was not backed up is missing. Needed with "
            "S3_ASSETS_BACKUP_DIR."
        ),
        values=f"a day as YYYY-MM-DD, not before {EARLIEST}",
        example="2026-11-01",
        read=read_date,
    ),
    Setting(
        name="backup_zone",
        meaning="The time zone of the backup: a file belongs to the day of its last change there; the cron runs there.",
        values="the name of a time zone",
        example="Europe/Berlin",
        read=read_zone,
        default="Asia/Seoul",
    ),
    Setting(
        name="backup_cron",
        meaning="When the backup's schedule ticks, in S3_ASSETS_BACKUP_ZONE.",
        values="five cron fields, a space between them",
        example="30 4 * * *",
        read=read_cron,
        default="0 20 * * *",
    ),
    Setting(
        name="backup_lag_days",
        meaning="Which day a tick backs up: the one so many days before the tick's own. 1 is yesterday.",
        values="a whole number from 1 to 366",
        example="2",
        read=read_whole_number(1, 366),
        default="1",
        unit="days",
    ),
    Setting(
        name="backup_threads",
        meaning="How many files the backup reads and uploads at the same time.",
        values="a whole number from 1 to 64",
        example="16",
        read=read_whole_number(1, 64),
        default="8",
        unit="threads",
    ),
    Setting(
        name="backup_keep_days",
        meaning=(
            "Local files older than so many days are removed by the backup, each only after its copy on S3 was read "
            "again and found right. Where it is not set, nothing is ever removed."
        ),
        values="a whole number from 2 to 36500",
        example="90",
        read=read_whole_number(2, 36_500),
        unit="days",
    ),
    Setting(
        name="backup_heartbeat_url",
        meaning=(
            "Where runs of the backup say that they began, succeeded or failed, if they are for the day that is due: a "
            "check at healthchecks.io, or at what takes the same. A secret, like S3_ASSETS_HEARTBEAT_URL."
        ),
        values="an http or https address without a query, to which `/start` and `/fail` can be added",
        example="https://hc-ping.com/5c2e9b1a-0f5d-4d5e-9d3c-2a7b8f6e1d40",
        read=read_web_address,
        secret=True,
    ),
    Setting(
        name="hints_queue",
        meaning=(
            "URL of an SQS queue with the source bucket's notifications: the hours that they name are looked at "
            "first. The listing still decides, and finds what no message named. See [hints.md](hints.md)."
        ),
        values="the https://host/account/name that SQS gives, without credentials",
        example="https://sqs.eu-west-1.amazonaws.com/123456789012/s3-assets-hints",
        read=read_queue_url,
    ),
    Setting(
        name="slack_token",
        meaning=(
            "Token of the bot that sends alerts to Slack, with the scope `chat:write`. A secret: it is in no message, "
            "no log and no metadata. Without it, alerts go to the log of `alerts_sensor`. See [alerts.md](alerts.md)."
        ),
        values="a token that begins with xoxb-",
        example="xoxb-1234-5678-abcdef",
        read=read_slack_token,
        secret=True,
    ),
    Setting(
        name="slack_channel",
        meaning="Where alerts go that no route sends elsewhere; the bot has to be in it. Needed with a token.",
        values="the name of a channel with its `#`, or its id",
        example="#data",
        read=read_slack_channel,
    ),
    Setting(
        name="slack_url",
        meaning="Where Slack's Web API is. Another address than the default is for GovSlack, or for a gateway.",
        values="an http or https address without credentials",
        example="https://slack-gov.com/api",
        read=read_web_address,
        default="https://slack.com/api",
    ),
    Setting(
        name="dagster_url",
        meaning="Where people open Dagster's UI: alerts link to it. Without it they name runs, and link to nothing.",
        values="an http or https address without credentials",
        example="https://dagster.example.com",
        read=read_web_address,
    ),
    Setting(
        name="alert_summary_minutes",
        meaning="How often an alert is said again, at most, while nothing changes in it.",
        values="a whole number from 10 to 10080",
        example="60",
        read=read_whole_number(10, 10_080),
        default="240",
        unit="minutes",
    ),
    Setting(
        name="log_dir",
        meaning=(
            "A local folder for log files, `info_YYYYMMDD.log` and `error_YYYYMMDD.log`, by dates in UTC. Where it is "
            "not set, none are written. See [logs.md](logs.md)."
        ),
        values="the absolute path of a folder",
        example="/var/log/s3_assets",
        read=read_directory,
    ),
    Setting(
        name="log_days",
        meaning="For how many dates log files are kept, today's included. Older ones are removed, and nothing else is.",
        values="a whole number from 1 to 36500",
        example="90",
        read=read_whole_number(1, 36_500),
        default="30",
        unit="days",
    ),
    Setting(
        name="log_format",
        meaning="What a line of a log is, in files and on the console of `s3-assets`: text, or one JSON object.",
        values="text or json",
        example="json",
        read=read_log_format,
        default="text",
    ),
    Setting(
        name="metrics_file",
        meaning=(
            "A file that each tick of a sensor writes anew, with metrics as Prometheus's text, for node_exporter's "
            "textfile collector. Each code location needs its own. Where it is not set, none is written. See "
            "[metrics.md](metrics.md)."
        ),
        values="an absolute path that ends in .prom",
        example="/var/lib/node_exporter/textfile/s3_assets.prom",
        read=read_prom_file,
    ),
    Setting(
        name="metrics_address",
        meaning=(
            "Where the process that evaluates sensors serves the same metrics over HTTP, from the first tick on. A "
            "port alone is one of 127.0.0.1. There is no password: who reaches it, reads the names of events."
        ),
        values="a port, or host:port",
        example="127.0.0.1:9464",
        read=read_listen_address,
    ),
    Setting(
        name="heartbeat_url",
        meaning=(
            "Where each look of `source_sensor` says that it began, succeeded or failed, for a watcher outside: a "
            "check at healthchecks.io, or at what takes the same. A secret: it is in no message, no log and no "
            "metadata. See [alerts.md](alerts.md)."
        ),
        values="an http or https address without a query, to which `/start` and `/fail` can be added",
        example="https://hc-ping.com/9d8f5c1e-7a44-4c55-b0ce-6f1f2f6b7a10",
        read=read_web_address,
        secret=True,
    ),
)
"""Every environment variable, in the order of the docs. What is not here is refused."""

_NOT_OF_A_PIPELINE: Final = ("backup_", "log_", "metrics_")
"""The backup is none; of log files, metrics files and ports there is one set in a process."""

PIPELINE_SETTINGS: Final = tuple(setting for setting in SETTINGS if not setting.name.startswith(_NOT_OF_A_PIPELINE))
"""Those that a pipeline of hour files may be told, alerts included."""

BY_NAME: Final = {setting.name: setting for setting in SETTINGS}
"""The rows of `SETTINGS`."""
