"""Settings: read once, every problem named at once, nothing secret repeated."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.errors import SettingsError
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.settings import (
    SETTINGS,
    AlertSettings,
    BackupCalendar,
    BackupSettings,
    LogSettings,
    MetricsSettings,
    Settings,
    backup_calendar,
    grid_start,
    group_names,
    load_alert_settings,
    load_backup_settings,
    load_log_settings,
    load_metrics_settings,
    load_settings,
    markdown,
    start_date,
)

ROOT = Path(__file__).parent.parent
GOOD = {"S3_ASSETS_SOURCE": "s3://raw/source/", "S3_ASSETS_TARGET": "s3://hourly/target/"}


def problems_of(environ, toml=None):
    """The problems that loading reports; there must be some."""
    with pytest.raises(SettingsError) as caught:
        load(environ, toml)
    return caught.value.problems


def load(environ, toml=None):
    """Load with `toml` (text or bytes) as the content of S3_ASSETS_CONFIG."""
    if toml is None:
        return load_settings(environ)
    content = toml.encode() if isinstance(toml, str) else toml
    return load_settings({**environ, "S3_ASSETS_CONFIG": "a.toml"}, read_file=lambda _: content)


# --- variables ---------------------------------------------------------------------------------------------


def test_two_variables_are_enough():
    """Source and target alone give settings; the rest has the documented defaults."""
    settings = load_settings(GOOD)
    assert (settings.source_bucket, settings.source_prefix) == ("raw", "source/")
    assert (settings.target_bucket, settings.target_prefix) == ("hourly", "target/")
    assert settings.start_date == date(2021, 1, 1)
    assert settings.source_pattern == "{event}/{date}/{HH}_{MM}_{name}.csv"
    assert (settings.fetch_threads, settings.hour_threads, settings.hours_per_run) == (16, 4, 500)
    assert settings.large_commit == "auto"
    assert settings.hints_queue is None
    assert settings.policy("anything") == EventPolicy()


def test_given_values_are_taken():
    """Every variable reaches its field, with its type."""
    settings = load_settings(
        {
            "S3_ASSETS_SOURCE": "s3://one/a b/é/",
            "S3_ASSETS_TARGET": "s3://one/z",
            "S3_ASSETS_START_DATE": "2024-02-29",
            "S3_ASSETS_SOURCE_PATTERN": "x/{event}/{date}/{HH}-{MM}-{name}.txt",
            "S3_ASSETS_FETCH_THREADS": "256",
            "S3_ASSETS_HOUR_THREADS": "1",
            "S3_ASSETS_HOURS_PER_RUN": "10000",
            "S3_ASSETS_LARGE_COMMIT": "spool",
            "S3_ASSETS_HINTS_QUEUE": "http://127.0.0.1:4566/000000000000/new-objects.fifo",
        }
    )
    assert str(settings.source) == "s3://one/a b/é/"
    assert str(settings.target) == "s3://one/z/"
    assert settings.start_date == date(2024, 2, 29)
    assert settings.source_pattern == "x/{event}/{date}/{HH}-{MM}-{name}.txt"
    assert (settings.fetch_threads, settings.hour_threads, settings.hours_per_run) == (256, 1, 10_000)
    assert settings.large_commit == "spool"
    assert settings.hints_queue == "http://127.0.0.1:4566/000000000000/new-objects.fifo"


def test_settings_are_a_value():
    """Equal environments give equal, hashable settings that can't be changed."""
    settings = load_settings(GOOD)
    assert settings == load_settings(dict(GOOD))
    assert hash(settings) == hash(load_settings(dict(GOOD)))
    with pytest.raises(FrozenInstanceError):
        settings.fetch_threads = 1  # type: ignore[misc]


def test_every_problem_is_reported_at_once():
    """Each bad variable, the unknown one and the bad TOML get a line each, and each line shows a valid example."""
    found = problems_of(
        {
            "S3_ASSETS_TARGET": "hourly/target",
            "S3_ASSETS_START_DATE": "01.02.2024",
            "S3_ASSETS_FETCH_THREADS": "many",
            "S3_ASSETS_TARGT": "s3://x/y/",
        },
        "[defaults]\nheader = 'yes'\n",
    )
    assert [line.split(":")[0].split(" ")[0] for line in found] == [
        "S3_ASSETS_TARGT",
        "S3_ASSETS_SOURCE",
        "S3_ASSETS_TARGET",
        "S3_ASSETS_START_DATE",
        "S3_ASSETS_FETCH_THREADS",
        "defaults.header",
    ]
    assert all("for example" in line for line in found[1:])


@pytest.mark.parametrize("variable", ["S3_ASSETS_SOURCE", "S3_ASSETS_TARGET"])
@pytest.mark.parametrize("value", [None, ""])
def test_source_and_target_are_required(variable, value):
    """Not set and empty are the same: the variable is named as missing."""
    environ = {**GOOD, variable: value} if value is not None else {k: v for k, v in GOOD.items() if k != variable}
    (problem,) = problems_of(environ)
    assert problem.startswith(f"{variable}: not set; needs ")


def test_an_empty_optional_value_is_the_default():
    """`S3_ASSETS_CONFIG=` in an env file switches it off."""
    assert load_settings({**GOOD, "S3_ASSETS_CONFIG": "", "S3_ASSETS_FETCH_THREADS": ""}) == load_settings(GOOD)


@pytest.mark.parametrize(
    "address",
    [
        "raw/source/",
        "s3:/raw/source/",
        "S3://raw/source/",
        "s3://",
        "s3:///source/",
        "s3://a b/source/",
        "s3://raw//source/",
        "s3://raw/source//",
        "s3://raw/./source/",
        "s3://raw/source/..",
        "s3://raw/source/\n",
        "s3://raw/\udcff/",
        "https://raw.s3.amazonaws.com/source/",
    ],
)
def test_an_address_that_cannot_be_is_refused(address):
    """Anything but `s3://bucket/` and clean folder names is one problem, named by its variable."""
    (problem,) = problems_of({**GOOD, "S3_ASSETS_SOURCE": address})
    assert problem.startswith("S3_ASSETS_SOURCE: found ")
    assert "s3://my-raw-bucket/source/" in problem


@pytest.mark.parametrize(
    "address",
    [
        "s3://AKIAEXAMPLE:hunter2secret@raw/source/",
        "s3://AKIAEXAMPLE:hunter2/secret@raw/source/",
        "s3://hunter2secret@raw/source/",
        "https://user:hunter2secret@host/raw/",
        "https://raw.host/source/?X-Amz-Signature=hunter2secret",
        "user:hunter2secret@raw/source/",
    ],
)
def test_credentials_in_an_address_are_refused_and_not_repeated(address):
    """The message says that there are credentials, and never what they are."""
    with pytest.raises(SettingsError) as caught:
        load_settings({**GOOD, "S3_ASSETS_SOURCE": address})
    assert "hunter2" not in caught.value.describe()
    assert "AKIA" not in caught.value.describe()


@pytest.mark.parametrize(
    "url",
    [
        "https://AKIAEXAMPLE:hunter2secret@sqs.eu-west-1.amazonaws.com/123456789012/hints",
        "https://hunter2secret@sqs.eu-west-1.amazonaws.com/123456789012/hints",
        "https://AKIAEXAMPLE:hunter2secret/123456789012/hints",
        "https://sqs.eu-west-1.amazonaws.com/123456789012/hints?X-Amz-Signature=hunter2secret",
        "https://sqs.eu-west-1.amazonaws.com/123456789012/hints#hunter2secret",
        "sqs://AKIAEXAMPLE:hunter2secret@hints",
        "https://sqs.eu-west-1.amazonaws.com/",
        "https://sqs.eu-west-1.amazonaws.com/123456789012/hints\n",
        "hints",
    ],
)
def test_what_is_no_plain_queue_url_is_refused_and_not_repeated(url):
    """Nothing but a host and a path is taken, and nothing else is shown."""
    (problem,) = problems_of({**GOOD, "S3_ASSETS_HINTS_QUEUE": url})
    assert problem.startswith("S3_ASSETS_HINTS_QUEUE: found an address of another kind (not shown")
    assert "https://sqs.eu-west-1.amazonaws.com/123456789012/s3-assets-hints" in problem
    assert "hunter2" not in problem
    assert "AKIA" not in problem


def test_an_arn_in_place_of_the_queue_url_is_told_as_such():
    """The likeliest mistake: the console shows both."""
    (problem,) = problems_of({**GOOD, "S3_ASSETS_HINTS_QUEUE": "arn:aws:sqs:eu-west-1:123456789012:hints"})
    assert "which is the queue's ARN, not its URL" in problem


def test_no_message_holds_an_unknown_variables_value():
    """A secret under a name that we don't know stays unknown."""
    (problem,) = problems_of({**GOOD, "S3_ASSETS_AWS_SECRET_ACCESS_KEY": "hunter2secret"})
    assert "S3_ASSETS_AWS_SECRET_ACCESS_KEY" in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    "source, target",
    [
        ("s3://one/a/", "s3://one/a/"),
        ("s3://one/a", "s3://one/a/"),
        ("s3://one/a/", "s3://one/a/b/"),
        ("s3://one/a/b/", "s3://one/a/"),
        ("s3://one", "s3://one/a/"),
        ("s3://one/a/", "s3://one/"),
    ],
)
def test_source_and_target_must_not_overlap(source, target):
    """Hour files below the source prefix would be sources, and sources below the target prefix hour files."""
    (problem,) = problems_of({"S3_ASSETS_SOURCE": source, "S3_ASSETS_TARGET": target})
    assert problem.startswith("S3_ASSETS_TARGET: found ")
    assert "S3_ASSETS_SOURCE" in problem


@pytest.mark.parametrize(
    "source, target",
    [
        ("s3://one/a/", "s3://one/ab/"),
        ("s3://one/ab", "s3://one/a"),
        ("s3://one", "s3://two"),
        ("s3://one", "s3://two/a"),
    ],
)
def test_neighbours_do_not_overlap(source, target):
    """A prefix that only begins like another is another folder."""
    assert isinstance(load_settings({"S3_ASSETS_SOURCE": source, "S3_ASSETS_TARGET": target}), Settings)


@pytest.mark.parametrize(
    "text",
    ["2024-13-01", "2023-02-29", "20240101", "2024-W01-1", "1969-12-31", "2024-1-1", "２０２４-01-01", " 2024-01-01"],
)
def test_a_start_date_is_a_calendar_day(text):
    """Only YYYY-MM-DD that exists, both with all settings and alone."""
    (problem,) = problems_of({**GOOD, "S3_ASSETS_START_DATE": text})
    assert problem.startswith("S3_ASSETS_START_DATE: found ")
    with pytest.raises(SettingsError):
        start_date({"S3_ASSETS_START_DATE": text})


def test_the_start_date_can_be_read_alone():
    """Definitions load without source and target, and whatever else is wrong."""
    assert start_date({}) == date(2021, 1, 1)
    assert start_date({"S3_ASSETS_START_DATE": "2025-06-07", "S3_ASSETS_FETCH_THREADS": "x"}) == date(2025, 6, 7)


@pytest.mark.parametrize(
    "variable, most",
    [("S3_ASSETS_FETCH_THREADS", 256), ("S3_ASSETS_HOUR_THREADS", 64), ("S3_ASSETS_HOURS_PER_RUN", 10_000)],
)
@pytest.mark.parametrize("text", ["0", "-1", "1.5", "1_0", "３", " 3", "1e2", "9" * 5000, "one too many"])
def test_numbers_are_whole_and_within_bounds(variable, most, text):
    """Anything but digits from 1 to the limit is refused, and the limit is named."""
    (problem,) = problems_of({**GOOD, variable: str(most + 1) if text == "one too many" else text})
    assert problem.startswith(f"{variable}: found ")
    assert f"from 1 to {most}" in problem
    assert len(problem) < 300


@pytest.mark.parametrize(
    "variable, text", [("S3_ASSETS_LARGE_COMMIT", "AUTO"), ("S3_ASSETS_SOURCE_PATTERN", "{event}/{HH}.csv")]
)
def test_words_and_patterns_are_checked(variable, text):
    """A word that is not offered and a pattern that is no grammar are problems like others."""
    (problem,) = problems_of({**GOOD, variable: text})
    assert problem.startswith(f"{variable}: found ")


def test_an_unknown_variable_is_refused_with_a_guess():
    """A typing error doesn't pass for a default; other programs' variables are none of ours."""
    (problem,) = problems_of({**GOOD, "S3_ASSETS_FETCH_THREAD": "3", "AWS_REGION": "x", "S3_ASSET": "y"})
    assert problem == "S3_ASSETS_FETCH_THREAD: there is no such setting; did you mean S3_ASSETS_FETCH_THREADS?"
    (problem,) = problems_of({**GOOD, "S3_ASSETS_": "3"})
    assert "S3_ASSETS_HOURS_PER_RUN" in problem


# --- the backup --------------------------------------------------------------------------------------------

BACKUP = {
    "S3_ASSETS_BACKUP_DIR": "/var/lib/events",
    "S3_ASSETS_BACKUP_TARGET": "s3://backups/events",
    "S3_ASSETS_BACKUP_START_DATE": "2026-11-01",
}


def load_backup(environ, toml=""):
    """The settings of the backup, with `toml` as the content of S3_ASSETS_CONFIG."""
    return load_backup_settings({**environ, "S3_ASSETS_CONFIG": "a.toml"}, read_file=lambda _: toml.encode())


def backup_problems(environ, toml=""):
    """The problems that loading reports; there must be some."""
    with pytest.raises(SettingsError) as caught:
        load_backup(environ, toml)
    return caught.value.problems


def test_three_variables_are_enough_for_a_backup():
    """No source and no target of hour files; the rest has the documented defaults."""
    settings = load_backup_settings(BACKUP)
    assert (str(settings.directory), str(settings.target)) == ("/var/lib/events", "s3://backups/events/")
    assert settings.calendar == BackupCalendar(date(2026, 11, 1), ZoneInfo("Asia/Seoul"), "0 20 * * *", 1)
    assert (settings.threads, settings.keep_days) == (8, None)
    assert (settings.include, settings.exclude, settings.groups) == (("**/*.json",), (), {})


def test_given_settings_of_the_backup_are_taken():
    """Every variable and every key of the table reaches its field."""
    settings = load_backup(
        {
            **BACKUP,
            "S3_ASSETS_BACKUP_ZONE": "Europe/Berlin",
            "S3_ASSETS_BACKUP_CRON": "30 4 * * 1-5",
            "S3_ASSETS_BACKUP_LAG_DAYS": "2",
            "S3_ASSETS_BACKUP_THREADS": "3",
            "S3_ASSETS_BACKUP_KEEP_DAYS": "90",
        },
        """
        [backup]
        include = ["**/*.json", "*.csv"]
        exclude = ["tmp/**"]
        [backup.groups]
        "과속" = ["**/overspeed/**"]
        error = ["**/error/**"]
        """,
    )
    assert settings.calendar == BackupCalendar(date(2026, 11, 1), ZoneInfo("Europe/Berlin"), "30 4 * * 1-5", 2)
    assert (settings.threads, settings.keep_days) == (3, 90)
    assert (settings.include, settings.exclude) == (("**/*.json", "*.csv"), ("tmp/**",))
    assert list(settings.groups.items()) == [("과속", ("**/overspeed/**",)), ("error", ("**/error/**",))]


def test_hour_files_need_no_backup_and_the_backup_needs_none_of_them():
    """Each is loaded where only the other's variables are missing."""
    assert isinstance(load_settings(GOOD), Settings)
    assert load_backup_settings({**GOOD, **BACKUP}) == load_backup_settings(BACKUP)
    assert [problem.split(":")[0] for problem in backup_problems(GOOD)] == list(BACKUP)


@pytest.mark.parametrize(
    "name, text, says",
    [
        ("DIR", "events", "is not absolute"),
        ("DIR", "/a\0b", "can't be the path"),
        ("TARGET", "backups/events", "needs s3://"),
        ("TARGET", "s3://raw/source/old/", "shares keys"),
        ("TARGET", "s3://hourly/", "shares keys"),
        ("START_DATE", "2026-02-30", "no day of the calendar"),
        ("ZONE", "Seoul", "does not know"),
        ("ZONE", "../../etc/passwd", "needs the name of a time zone"),
        ("ZONE", "Asia", "does not know"),
        ("CRON", "daily", "five cron fields"),
        ("CRON", "0 20 * *", "five cron fields"),
        ("LAG_DAYS", "0", "from 1 to 366"),
        ("THREADS", "65", "from 1 to 64"),
        ("KEEP_DAYS", "1", "from 2 to 36500"),
    ],
)
def test_what_a_backup_can_not_be_is_refused(name, text, says):
    """With the variable, and a valid example."""
    (problem,) = backup_problems({**GOOD, **BACKUP, f"S3_ASSETS_BACKUP_{name}": text})
    assert problem.startswith(f"S3_ASSETS_BACKUP_{name}: found ")
    assert says in problem
    assert "for example" in problem


def test_problems_of_the_backups_table_name_their_path():
    """Unknown keys, wrong types and globs that can match nothing come all at once."""
    found = backup_problems(
        BACKUP,
        """
        [backup]
        includes = ["*"]
        include = []
        exclude = ["/etc/*", "*.tmp"]
        [backup.groups]
        a = "*.json"
        b = ["../x"]
        """,
    )
    assert [line.split(" in ")[0] for line in found] == [
        "backup.includes",
        "backup.include",
        "backup.exclude",
        "backup.groups.a",
        "backup.groups.b",
    ]
    assert all("needs a list of paths below the folder" in line for line in found[1:])


def test_the_calendar_can_be_read_alone():
    """Definitions load before a target is given; without a folder there is none."""
    assert backup_calendar({}) is None
    assert backup_calendar({"S3_ASSETS_BACKUP_DIR": ""}) is None
    environ = {
        "S3_ASSETS_BACKUP_DIR": "/x",
        "S3_ASSETS_BACKUP_START_DATE": "2026-11-01",
        "S3_ASSETS_FETCH_THREADS": "x",
    }
    assert backup_calendar(environ) == BackupCalendar(date(2026, 11, 1), ZoneInfo("Asia/Seoul"), "0 20 * * *", 1)
    with pytest.raises(SettingsError, match="START_DATE: not set") as caught:
        backup_calendar({"S3_ASSETS_BACKUP_DIR": "/x", "S3_ASSETS_BACKUP_ZONE": "x"})
    assert len(caught.value.problems) == 2


def test_the_backups_rows_are_its_fields():
    """Every row of the table reaches a field, and the other way round."""
    rows = {setting.name.removeprefix("backup_") for setting in SETTINGS if setting.name.startswith("backup_")}
    own = {spec.name for spec in fields(BackupSettings)} - {"calendar", "include", "exclude", "groups"}
    assert {"directory" if name == "dir" else name for name in rows} == own | {
        spec.name for spec in fields(BackupCalendar)
    }


# --- logs --------------------------------------------------------------------------------------------------


def test_settings_of_logs_are_read_alone():
    """What is wrong with others is no concern of them; their defaults are those of the table."""
    assert load_log_settings({"S3_ASSETS_SOURCE": "x", "S3_ASSETS_LOG_DIR": ""}) == LogSettings()
    environ = {"S3_ASSETS_LOG_DIR": "/var/log/x", "S3_ASSETS_LOG_DAYS": "7", "S3_ASSETS_LOG_FORMAT": "json"}
    assert load_log_settings(environ) == LogSettings(Path("/var/log/x"), 7, "json")
    with pytest.raises(SettingsError) as caught:
        load_log_settings({"S3_ASSETS_LOG_DIR": "logs", "S3_ASSETS_LOG_DAYS": "0", "S3_ASSETS_LOG_FORMAT": "JSON"})
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "S3_ASSETS_LOG_DIR",
        "S3_ASSETS_LOG_DAYS",
        "S3_ASSETS_LOG_FORMAT",
    ]


# --- metrics -----------------------------------------------------------------------------------------------


def test_settings_of_metrics_are_read_alone():
    """What is wrong with others is no concern of them; without any there are no metrics."""
    assert load_metrics_settings({"S3_ASSETS_SOURCE": "x", "S3_ASSETS_METRICS_FILE": ""}) == MetricsSettings()
    assert not MetricsSettings().are_on
    file = load_metrics_settings({"S3_ASSETS_METRICS_FILE": "/var/lib/x.prom"})
    assert file == MetricsSettings(Path("/var/lib/x.prom"))
    assert file.are_on
    with pytest.raises(SettingsError) as caught:
        load_metrics_settings({"S3_ASSETS_METRICS_FILE": "/x.txt", "S3_ASSETS_METRICS_ADDRESS": "x"})
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "S3_ASSETS_METRICS_FILE",
        "S3_ASSETS_METRICS_ADDRESS",
    ]


@pytest.mark.parametrize(
    "text, shown",
    [
        ("9464", "127.0.0.1:9464"),
        ("0.0.0.0:80", "0.0.0.0:80"),
        ("[::1]:9464", "[::1]:9464"),
        ("localhost:65535", "localhost:65535"),
    ],
)
def test_a_port_alone_is_for_this_machine(text, shown):
    """Who wants others to reach it, says so."""
    settings = load_metrics_settings({"S3_ASSETS_METRICS_ADDRESS": text})
    assert settings.are_on
    assert str(settings.metrics_address) == shown


@pytest.mark.parametrize("text", ["0", "65536", "host", "host:", ":9464", "::1:9464", "http://host:1", "a b:1", "1\n"])
def test_an_address_that_can_not_be_listened_at_is_refused(text):
    """With what to write in its place."""
    with pytest.raises(SettingsError, match="needs a port, or host:port"):
        load_metrics_settings({"S3_ASSETS_METRICS_ADDRESS": text})


@pytest.mark.parametrize("text", ["x.prom", "/x", "/.prom", "/x/.a.prom", "/x.prom/"])
def test_a_file_that_node_exporter_would_not_read_is_refused(text):
    """A relative path, another ending, a hidden file."""
    with pytest.raises(SettingsError, match=r"needs an absolute path that ends in \.prom"):
        load_metrics_settings({"S3_ASSETS_METRICS_FILE": text})


# --- policies ----------------------------------------------------------------------------------------------


def test_an_events_table_changes_single_fields():
    """Fields come from the event's own table, then the defaults, then the built-in ones; names are exact."""
    settings = load(
        GOOD,
        """
        [defaults]
        header = false
        max_vanished_share = 1
        [events."raw.clicks*"]
        compression = "small"
        [events.payments]
        header = true
        on_vanished = "drop"
        """,
    )
    assert settings.policy("payments") == EventPolicy(header=True, on_vanished="drop", max_vanished_share=1)
    assert settings.policy("raw.clicks*") == EventPolicy(header=False, compression="small", max_vanished_share=1)
    assert settings.policy("raw.clicks2") == EventPolicy(header=False, max_vanished_share=1) == settings.defaults


def test_problems_in_the_file_name_their_path():
    """Unknown keys, wrong types and bad values come all at once, as TOML paths, with what is valid."""
    found = problems_of(
        GOOD,
        """
        default = 1
        [defaults]
        headers = true
        max_vanished_share = 1.1
        [events]
        clicks = 3
        [events.payments]
        on_vanished = "remove"
        header = 1
        compression = ["fast"]
        [events."a.b/c"]
        """,
    )
    assert found == [
        "default in 'a.toml': there is no such key; did you mean defaults?",
        "defaults.headers in 'a.toml': there is no such key; did you mean header?",
        (
            "defaults.max_vanished_share in 'a.toml': found 1.1; needs a number from 0 to 1,"
            " for example max_vanished_share = 0.5"
        ),
        "events.clicks in 'a.toml': found 3; needs a table, for example [events.\"payments\"]",
        (
            "events.payments.on_vanished in 'a.toml': found 'remove'; needs \"keep\" or \"drop\","
            ' for example on_vanished = "keep"'
        ),
        "events.payments.header in 'a.toml': found 1; needs true or false, for example header = true",
        (
            'events.payments.compression in \'a.toml\': found [\'fast\']; needs "default" or "fast" or "small",'
            ' for example compression = "default"'
        ),
        'events."a.b/c" in \'a.toml\': an event is the name of one folder, for example [events."payments"]',
    ]


@pytest.mark.parametrize("share", ["nan", "inf", "-0.1", "true", "'0.5'"])
def test_a_share_is_a_number_from_0_to_1(share):
    """What compares oddly with numbers is refused too."""
    (problem,) = problems_of(GOOD, f"[defaults]\nmax_vanished_share = {share}\n")
    assert problem.startswith("defaults.max_vanished_share in ")


def test_what_is_expected_of_an_event_is_whole_numbers():
    """Off by default; an event's own table changes one of the two."""
    settings = load(GOOD, "[defaults]\nexpect_every_hours = 1\n[events.payments]\nlate_by_minutes = 90\n")
    found = [(one.expect_every_hours, one.late_by_minutes) for one in map(settings.policy, ("payments", "clicks"))]
    assert found == [(1, 90), (1, 30)]
    assert load(GOOD).policy("payments").expect_every_hours == 0
    for value in ("-1", "1.0", "true", "'1h'", "10001"):
        (problem,) = problems_of(GOOD, f"[events.payments]\nexpect_every_hours = {value}\n")
        assert "needs a whole number from 0 to 10000, for example expect_every_hours = 0" in problem
    assert "expect" not in settings.policy("payments").content_token()


@pytest.mark.parametrize(
    "content, says",
    [
        (b"[defaults]\nheader = \n", "line 2"),
        (b"[defaults]\n\xff\n", "not UTF-8"),
        (b"x = " + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_toml_is_a_problem(content, says):
    """Syntax errors come with their line, and with all the other problems."""
    found = problems_of({"S3_ASSETS_TARGET": "s3://hourly/"}, content)
    assert [line.split(":")[0] for line in found] == ["S3_ASSETS_SOURCE", "S3_ASSETS_CONFIG"]
    assert says in found[1]


@pytest.mark.parametrize("path", ["/does/not/exist.toml", "/", "a\0b"])
def test_a_file_that_cannot_be_read_is_a_problem(path):
    """A missing file, a folder and a path that can't be are named."""
    (problem,) = problems_of({**GOOD, "S3_ASSETS_CONFIG": path})
    assert problem.startswith("S3_ASSETS_CONFIG: found ")


def test_the_file_is_read_from_its_path(tmp_path):
    """Without `read_file`, the file itself is read, as UTF-8."""
    path = tmp_path / "설정.toml"
    path.write_text('[events."이벤트"]\nheader = false\n', encoding="utf-8")
    assert not load_settings({**GOOD, "S3_ASSETS_CONFIG": str(path)}).policy("이벤트").header


def test_the_content_token_is_stable():
    """It is in every fingerprint ever written: another text for the same policy would look like a change everywhere."""
    assert EventPolicy().content_token() == "header=true;on_schema_change=union;on_vanished=keep"
    other = EventPolicy(header=False, on_schema_change="quarantine", on_vanished="drop")
    assert other.content_token() == "header=false;on_schema_change=quarantine;on_vanished=drop"


def test_the_content_token_holds_what_shapes_rows_and_no_more():
    """Compression and the breaker change no rows; how a source's rows are read is a part of it."""
    assert EventPolicy(compression="fast", max_vanished_share=0.1).content_token() == EventPolicy().content_token()
    assert EventPolicy(on_vanished="drop").row_settings() == EventPolicy().row_settings()
    assert EventPolicy(header=False).row_settings() == {"header": "false", "on_schema_change": "union"}


# --- alerts ------------------------------------------------------------------------------------------------

SLACK = {"S3_ASSETS_SLACK_TOKEN": "xoxb-1-2-x", "S3_ASSETS_SLACK_CHANNEL": "#data"}


def load_alerts(environ, toml=""):
    """The settings of alerts, with `toml` as the content of S3_ASSETS_CONFIG."""
    return load_alert_settings({**environ, "S3_ASSETS_CONFIG": "a.toml"}, read_file=lambda _: toml.encode())


def test_without_anything_alerts_go_to_the_log():
    """No token, no channel, and Slack's own address."""
    assert load_alert_settings({}) == AlertSettings(None, None, "https://slack.com/api", None, 240)


def test_given_settings_of_alerts_are_taken():
    """Each with its type; addresses end without a slash."""
    settings = load_alert_settings(
        {
            **SLACK,
            "S3_ASSETS_SLACK_URL": "http://127.0.0.1:8080/api/",
            "S3_ASSETS_DAGSTER_URL": "https://dagster.example.com/ui/",
            "S3_ASSETS_ALERT_SUMMARY_MINUTES": "10",
        }
    )
    assert settings == AlertSettings(
        "xoxb-1-2-x", "#data", "http://127.0.0.1:8080/api", "https://dagster.example.com/ui", 10
    )


def test_the_token_is_not_shown():
    """Neither a good one where settings are printed, nor a bad one in the message."""
    assert "xoxb" not in repr(load_alert_settings(SLACK))
    (problem,) = problems_of({**GOOD, **SLACK, "S3_ASSETS_SLACK_TOKEN": "https://hooks.slack.com/services/hunter2"})
    assert problem.startswith("S3_ASSETS_SLACK_TOKEN: found something else (not shown")
    assert "hunter2" not in problem


def test_a_token_needs_a_channel():
    """Where alerts are read, and where all settings are."""
    (problem,) = problems_of({**GOOD, "S3_ASSETS_SLACK_TOKEN": "xoxb-1-2-x"})
    assert problem.startswith("S3_ASSETS_SLACK_CHANNEL: not set, and S3_ASSETS_SLACK_TOKEN is; needs ")
    with pytest.raises(SettingsError, match="S3_ASSETS_SLACK_CHANNEL: not set"):
        load_alert_settings({"S3_ASSETS_SLACK_TOKEN": "xoxb-1-2-x"})


@pytest.mark.parametrize("channel", ["data", "#", "#a b", "#<!channel>", "@user", "#a\n", "C12"])
def test_a_channel_is_a_name_with_its_sign_or_an_id(channel):
    """Nothing else, so that a typing error is found before the first alert."""
    (problem,) = problems_of({**GOOD, "S3_ASSETS_SLACK_CHANNEL": channel})
    assert problem.startswith("S3_ASSETS_SLACK_CHANNEL: found ")
    assert load_alert_settings({"S3_ASSETS_SLACK_CHANNEL": "C0123ABCDE"}).slack_channel == "C0123ABCDE"
    assert load_alert_settings({"S3_ASSETS_SLACK_CHANNEL": "#알림"}).slack_channel == "#알림"


@pytest.mark.parametrize("variable", ["S3_ASSETS_DAGSTER_URL", "S3_ASSETS_SLACK_URL"])
@pytest.mark.parametrize(
    "url", ["https://a:hunter2@b/", "ftp://b/", "b", "https://b/?token=hunter2", "https://b/<x>", "https://b|x"]
)
def test_an_address_without_credentials_is_needed(variable, url):
    """It goes into messages that many read."""
    (problem,) = problems_of({**GOOD, variable: url})
    assert problem.startswith(f"{variable}: found something else (not shown")
    assert "hunter2" not in problem


def test_the_heartbeats_are_secrets_with_which_anybody_could_say_that_all_is_well():
    """Each is read by its own part, as an address to which words can be added, and is not shown."""
    urls = {name: f"https://hc-ping.com/hunter2-{name.lower()}/" for name in ("HEARTBEAT_URL", "BACKUP_HEARTBEAT_URL")}
    environ = {**GOOD, **BACKUP, **{f"S3_ASSETS_{name}": url for name, url in urls.items()}}
    alerts, backup = load_alert_settings(environ), load_backup_settings(environ)
    assert alerts.heartbeat_url == "https://hc-ping.com/hunter2-heartbeat_url"
    assert backup.heartbeat_url == "https://hc-ping.com/hunter2-backup_heartbeat_url"
    assert "hunter2" not in repr(alerts) + repr(backup) + repr(load_settings(environ))
    assert all(setting.secret for setting in SETTINGS if setting.name.endswith("heartbeat_url"))
    for name, url in urls.items():
        (problem,) = problems_of({**GOOD, **BACKUP, f"S3_ASSETS_{name}": f"{url}?create=1"})
        assert problem.startswith(f"S3_ASSETS_{name}: found something else (not shown")
        assert "hunter2" not in problem


ROUTES = """
[alerts]
owner = "@data"
[[alerts.routes]]
events = ["pay*", "refunds"]
channel = "#payments"
owner = "@pay"
[[alerts.routes]]
events = ["payments_old", "click[st]"]
owner = "@growth"
[[alerts.routes]]
events = ["*_raw"]
channel = "#raw"
[alerts.owners]
"@growth" = "#growth"
"@data" = "#everything"
"""


@pytest.mark.parametrize(
    "event, owner, destination",
    [
        ("payments", "", ("#payments", "@pay")),
        ("payments_old", "", ("#payments", "@pay")),  # the first that matches
        ("clicks", "", ("#growth", "@growth")),
        ("clickx", "", ("#everything", "@data")),
        ("x_raw", "", ("#raw", "@data")),
        ("PAYMENTS", "", ("#everything", "@data")),
        ("", "", ("#everything", "@data")),
        ("", "@growth", ("#growth", "@growth")),
        ("payments", "@growth", ("#payments", "@growth")),
        ("other", "@nobody", ("#data", "@nobody")),
    ],
)
def test_routes_name_channel_and_owner(event, owner, destination):
    """By the event's name first, then by the owner, then the channel for all."""
    assert load_alerts(SLACK, ROUTES).destination(event, owner) == destination


def test_problems_in_routes_are_found_with_their_place():
    """With what is valid, all at once."""
    found = problems_of(
        GOOD,
        """
        [alerts]
        channel = "#data"
        owners = 3
        ownr = "x"
        [[alerts.routes]]
        events = "pay*"
        [[alerts.routes]]
        events = ["a"]
        [[alerts.routes]]
        events = ["a"]
        channel = "data"
        owner = ""
        """,
    )
    assert found == [
        "alerts.channel in 'a.toml': the channel for all is a variable, for example S3_ASSETS_SLACK_CHANNEL=#data",
        "alerts.ownr in 'a.toml': there is no such key; did you mean owner?",
        "alerts.owners in 'a.toml': found 3; needs a table, for example [alerts.owners]",
        (
            "alerts.routes.1.events in 'a.toml': found 'pay*'; needs a list of events or patterns,"
            ' for example events = ["pay*"]'
        ),
        ("alerts.routes.2 in 'a.toml': names neither a channel nor an owner, for example channel = \"#payments\""),
        (
            "alerts.routes.3.channel in 'a.toml': found 'data'; needs the name of a channel with its `#`, or its id,"
            ' for example channel = "#payments"'
        ),
        (
            "alerts.routes.3.owner in 'a.toml': found ''; needs a name of at most 80 characters,"
            ' for example owner = "@payments-team"'
        ),
    ]


def test_alerts_do_without_what_is_wrong_elsewhere():
    """No source, an unknown variable, a file that is none: alerts can still tell it."""
    environ = {**SLACK, "S3_ASSETS_TYPO": "x", "S3_ASSETS_START_DATE": "soon"}
    assert load_alerts(environ, "[alerts\n").destination("payments") == ("#data", "")
    assert load_alerts(environ, f"{ROUTES}\n[defaults]\nheader = 3\n").destination("payments") == ("#payments", "@pay")


# --- anything at all ---------------------------------------------------------------------------------------

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)
VARIABLES = st.sampled_from([setting.variable for setting in SETTINGS]) | ANY_TEXT.map(lambda end: f"S3_ASSETS_{end}")
VALUES = (
    ANY_TEXT
    | ANY_TEXT.map(lambda text: f"s3://{text}")
    | st.sampled_from([setting.example for setting in SETTINGS])
    | st.integers().map(str)
    | ANY_TEXT.map(lambda text: f"{{event}}/{{date}}/{{HH}}{text}{{MM}}_{{name}}.csv")
)
TOML_VALUES = st.sampled_from(["true", "1", "0.5", "nan", '"drop"', '"fast"', "[1]", "{a = 1}", "1979-05-27", "x"])
TOML_LINES = st.sampled_from(
    ["[defaults]", "[events]", '[events."a"]', "[[events.b]]", "[x.y]", "defaults = 1", "[alerts]", "[[alerts.routes]]"]
) | st.builds(
    lambda name, value: f"{name} = {value}",
    st.sampled_from([*(f.name for f in fields(EventPolicy)), "z", "owner", "channel"]),
    TOML_VALUES,
)
FILES = st.binary() | st.lists(TOML_LINES).map(lambda lines: "\n".join(lines).encode())


def outcome(environ, content):
    """What loading gives or raises; any other error passes."""
    try:
        return load_settings(environ, read_file=lambda _: content)
    except SettingsError as error:
        return error


@given(st.dictionaries(VARIABLES, VALUES), FILES)
def test_anything_gives_settings_or_a_settings_error(environ, content):
    """Whatever the environment and the file hold, the answer is settings or a list of problems, never another error."""
    found = outcome(environ, content)
    if isinstance(found, SettingsError):
        assert found.problems
        assert not any("\n" in problem for problem in found.problems)
    else:
        assert 1 <= found.fetch_threads <= 256
        assert isinstance(found.policy("a"), EventPolicy)


@given(st.dictionaries(VARIABLES.filter(lambda name: name not in GOOD), VALUES, max_size=2), FILES)
def test_anything_beside_a_good_source_and_target_is_no_crash_either(environ, content):
    """The same where the settings can be good."""
    found = outcome({**GOOD, **environ}, content)
    assert isinstance(found, Settings) or found.problems


# --- the document ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_examples_and_defaults_are_valid(setting):
    """What messages and docs offer can be used as it is."""
    setting.read(setting.example)
    if setting.default is not None:
        setting.read(setting.default)


def test_the_table_is_the_settings():
    """Every row of the table is a field, but the path of the file, whose content is one."""
    names = {setting.name for setting in SETTINGS if not setting.name.startswith("backup_")} - {"config"}
    of_alerts = {spec.name for spec in fields(AlertSettings)} - {"owner", "routes", "owners"}
    others = {spec.name for kind in (LogSettings, MetricsSettings) for spec in fields(kind)}
    assert names == ({spec.name for spec in fields(Settings)} - {"defaults", "events", "groups"}) | of_alerts | others


def test_the_document_is_up_to_date():
    """docs/settings.md is what `python -m s3_assets.settings` prints."""
    run = subprocess.run([sys.executable, "-m", "s3_assets.settings"], cwd=ROOT, capture_output=True, check=True)
    assert run.stdout.decode() == markdown()
    assert (ROOT / "docs/settings.md").read_text(encoding="utf-8") == markdown()


def test_the_documents_example_can_be_loaded():
    """The TOML in docs/settings.md is valid."""
    example = markdown().split("```toml\n")[1].split("```")[0]
    assert load(GOOD, example).policy("payments").max_vanished_share == 0.1


GROUPS = '[groups]\npayments = ["pay*", "refunds"]\nweb = ["p*", "clicks"]\n'


def test_events_are_in_the_first_group_that_matches():
    """And in none where none does."""
    settings = load(GOOD, GROUPS)
    found = {event: settings.group_of(event) for event in ("payments", "refunds", "pages", "clicks", "orders")}
    assert found == {"payments": "payments", "refunds": "payments", "pages": "web", "clicks": "web", "orders": ""}
    assert settings.takes("", "orders")
    assert not settings.takes("", "pages")


def test_the_groups_alone_are_read_when_definitions_load():
    """What else is wrong in the file is told by runs and ticks; a file that can't be read, at once."""
    where = {"S3_ASSETS_CONFIG": "a.toml"}
    text = GROUPS + "[defaults]\nno_such_key = 1\n"
    assert group_names(where, read_file=lambda _: text.encode()) == ["payments", "web"]
    assert group_names({}) == []
    with pytest.raises(SettingsError, match="S3_ASSETS_CONFIG"):
        group_names(where, read_file=lambda _: b"[groups")


@pytest.mark.parametrize(
    "line, found",
    [
        ('Payments = ["pay*"]', "a group is named by small letters"),
        ('"a b" = ["pay*"]', "a group is named by small letters"),
        ('payments = "pay*"', "needs a list of events or patterns"),
        ("payments = [1]", "needs a list of events or patterns"),
    ],
)
def test_a_group_that_can_not_be_is_named(line, found):
    """When definitions load, and with all other problems."""
    text = f"[groups]\n{line}\n"
    with pytest.raises(SettingsError, match=found):
        load(GOOD, text)
    with pytest.raises(SettingsError, match=found):
        group_names({"S3_ASSETS_CONFIG": "a.toml"}, read_file=lambda _: text.encode())


def test_the_grid_goes_back_so_many_days_and_never_before_the_start():
    """From the first of a month; hours before it are built all the same."""
    today = date(2026, 3, 1)
    start = {"S3_ASSETS_START_DATE": "2026-01-01"}
    assert grid_start(start, today) == date(2026, 1, 1)
    assert grid_start({**start, "S3_ASSETS_GRID_DAYS": "20"}, today) == date(2026, 2, 1)
    assert grid_start({**start, "S3_ASSETS_GRID_DAYS": "0"}, today) == date(2026, 1, 1)
    assert grid_start({**start, "S3_ASSETS_GRID_DAYS": "9999"}, today) == date(2026, 1, 1)
    with pytest.raises(SettingsError, match="S3_ASSETS_GRID_DAYS"):
        grid_start({**start, "S3_ASSETS_GRID_DAYS": "-1"}, today)
