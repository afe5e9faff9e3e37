"""Settings: read once, every problem named at once, nothing secret repeated."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.errors import SettingsError
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.settings import SETTINGS, Settings, load_settings, markdown, start_date

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
    assert (settings.fetch_threads, settings.hour_threads, settings.hours_per_run) == (16, 4, 200)
    assert settings.large_commit == "auto"
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
        }
    )
    assert str(settings.source) == "s3://one/a b/é/"
    assert str(settings.target) == "s3://one/z/"
    assert settings.start_date == date(2024, 2, 29)
    assert settings.source_pattern == "x/{event}/{date}/{HH}-{MM}-{name}.txt"
    assert (settings.fetch_threads, settings.hour_threads, settings.hours_per_run) == (256, 1, 10_000)
    assert settings.large_commit == "spool"


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
    ["[defaults]", "[events]", '[events."a"]', "[[events.b]]", "[x.y]", "defaults = 1"]
) | st.builds(
    lambda name, value: f"{name} = {value}", st.sampled_from([*(f.name for f in fields(EventPolicy)), "z"]), TOML_VALUES
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
    names = {setting.name for setting in SETTINGS} - {"config"}
    assert names == {spec.name for spec in fields(Settings)} - {"defaults", "events"}


def test_the_document_is_up_to_date():
    """docs/settings.md is what `python -m s3_assets.settings` prints."""
    run = subprocess.run([sys.executable, "-m", "s3_assets.settings"], cwd=ROOT, capture_output=True, check=True)
    assert run.stdout.decode() == markdown()
    assert (ROOT / "docs/settings.md").read_text(encoding="utf-8") == markdown()


def test_the_documents_example_can_be_loaded():
    """The TOML in docs/settings.md is valid."""
    example = markdown().split("```toml\n")[1].split("```")[0]
    assert load(GOOD, example).policy("payments").max_vanished_share == 0.1
