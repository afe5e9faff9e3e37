"""`where`: where source objects went, or why they are nowhere. Nothing is written."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from s3_assets.builder.left_out import kind_of, left_out
from s3_assets.builder.reconcile import HourFailure, each_hour
from s3_assets.builder.since import held_since
from s3_assets.cli.render import human_bytes, printable, with_progress
from s3_assets.cli.sync import error_text
from s3_assets.errors import KeyGrammarError, S3AssetsError, shortened
from s3_assets.hour_file.keys import Hour, escape_event, label_of
from s3_assets.hour_file.mending import REBUILD, explain_command, show_command, sync_command
from s3_assets.hour_file.whereabouts import State, Whereabouts, whereabouts
from s3_assets.opening import open_pipeline
from s3_assets.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from s3_assets.builder.build import Seen
    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.builder.since import Since
    from s3_assets.hour_file.ledger import Quarantined
    from s3_assets.settings import Settings


@dataclass(frozen=True, slots=True)
class Answer:
    """What there is to say of one source.

    Attributes:
        asked: As it was asked for.
        state: In a word: those of `State`, or `not a source`, `left alone`, `failed`.
        words: In sentences.
        facts: For `--json`.
    """

    asked: str
    state: str
    words: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_in(self) -> bool:
        """Whether its rows are in its hour file, as it is or last was."""
        return self.state in (State.HELD, State.VANISHED)


def where_sources(asked: Sequence[str], *, as_json: bool) -> int:
    """Say where each is; the exit code: 0 where the rows of all are in their hour files."""
    settings, now = load_settings(os.environ), datetime.now(UTC)
    answers: dict[str, Answer] = {}
    wanted: defaultdict[Hour, dict[str, str]] = defaultdict(dict)
    with open_pipeline(settings) as pipeline:
        for text in asked:
            found = _read(text, pipeline, now)
            if isinstance(found, Answer):
                answers[text] = found
            else:
                hour, key = found
                wanted[hour][text] = key

        def work(hour: Hour, seen: Seen) -> dict[str, Answer]:
            return _look(pipeline, settings, hour, wanted[hour], seen)

        for outcome in with_progress(each_hour(pipeline, wanted, work), len(wanted)):
            if isinstance(outcome, HourFailure):
                said = (f"{outcome.hour} could not be looked at: {error_text(outcome.error)}",)
                answers |= {text: Answer(text, "failed", said) for text in wanted[outcome.hour]}
            else:
                answers |= outcome
    in_order = [answers[text] for text in asked]
    if as_json:
        documents = [
            {"source": one.asked, "in": one.is_in, "state": one.state, "words": list(one.words), **one.facts}
            for one in in_order
        ]
        click.echo(json.dumps(documents, indent=2, ensure_ascii=False))
    else:
        for answer in in_order:
            click.echo(printable(answer.asked))
            for line in answer.words:
                click.echo(f"  {printable(line)}")
    return 0 if all(answer.is_in for answer in in_order) else 1


# --- reading what was asked for ------------------------------------------------------------------------------


def _read(text: str, pipeline: Pipeline, now: datetime) -> tuple[Hour, str] | Answer:
    """The hour and the key that are meant, or why there is none."""
    key = _key(text, pipeline)
    if isinstance(key, Answer):
        return key
    try:
        hour = pipeline.grammar.source_hour(key)
    except KeyGrammarError as error:
        return _no_source(text, key, str(error), pipeline)
    if hour.label > label_of(now):
        return _left_alone(text, key, f"{hour} is in the future: hours are labelled in UTC", pipeline)
    return hour, key


def _key(text: str, pipeline: Pipeline) -> str | Answer:
    """The key below the source prefix."""
    if not text.startswith("s3://"):
        if text.startswith(pipeline.source_prefix) and not _parses(text, pipeline):
            return text.removeprefix(pipeline.source_prefix)
        return text
    home, hours = pipeline.source_uri(""), f"s3://{pipeline.target.bucket}/{pipeline.target_prefix}"
    if text.startswith(home):
        return text.removeprefix(home)
    if text.startswith(hours):
        hour = pipeline.grammar.target_hour(text.removeprefix(hours))
        words = "it is neither an hour file nor a source: it is below the target prefix"
        if hour is not None:
            words = f"it is the hour file of {hour}: `{show_command(hour)}` shows what it holds"
    else:
        words = f"it is not below the source prefix, {home}"
    return Answer(text, "not a source", (words,))


def _parses(key: str, pipeline: Pipeline) -> bool:
    try:
        pipeline.grammar.source_hour(key)
    except KeyGrammarError:
        return False
    return True


def _no_source(text: str, key: str, why: str, pipeline: Pipeline) -> Answer:
    there = _there(key, pipeline)
    pattern = pipeline.grammar.source_pattern
    words = (f"no hour takes it: its key is {why}" if why.startswith(("not ", "a ")) else f"no hour takes it: {why}",)
    form = () if pattern in why else (f"keys are {pattern}, below {pipeline.source_uri('')}",)
    return Answer(text, "not a source", (*words, *form, there), {"reason": why})


def _left_alone(text: str, key: str, why: str, pipeline: Pipeline) -> Answer:
    return Answer(text, "left alone", (f"it is left alone: {why}", _there(key, pipeline)), {"reason": why})


def _there(key: str, pipeline: Pipeline) -> str:
    try:
        info = pipeline.source.head(pipeline.source_prefix + key)
    except S3AssetsError as error:  # a key that the store does not take; the others are answered all the same
        return f"whether the object is there could not be found out: {error.describe()}"
    if info is None:
        return "there is no such object either"
    return f"the object is there: {human_bytes(info.size)}, {_time(info.last_modified)}"


# --- looking -------------------------------------------------------------------------------------------------


def _look(
    pipeline: Pipeline, settings: Settings, hour: Hour, wanted: Mapping[str, str], seen: Seen
) -> dict[str, Answer]:
    """The answers for sources of one hour, by what was asked."""
    listed = {source.key: source for source in seen.sources}
    target = seen.target
    if target is not None and target.problem is not None:
        problem = target.problem.mended_by(sync_command(hour, REBUILD))
        words = (f"it belongs to {hour}, whose hour file can't be read: {problem.describe()}",)
        return {text: Answer(text, "failed", words) for text in wanted}
    ledger = None if target is None else target.ledger
    found = {text: whereabouts(key, ledger, listed.get(key)) for text, key in wanted.items()}
    places = (one.place for one in found.values() if one.place is not None)
    since = held_since(pipeline, hour, {place.held.key: place.held for place in places})
    asset, start = settings.group_of(hour.event), f"{settings.start_date:%Y-%m-%d}"
    early = f"{hour} is before the start date, {start} (S3_ASSETS_START_DATE)" if hour.date < start else ""
    answers: dict[str, Answer] = {}
    for text, key in wanted.items():
        one = found[text]
        if early and one.state in (State.WAITING, State.UNKNOWN):
            answers[text] = _left_alone(text, key, early, pipeline)
            continue
        lines = [*_words(one, pipeline, hour, seen), *_since_words(since.get(key))]
        lines += [f"nothing looks at it any more: {early}"] if early else []
        if asset:
            lines.append(f"in Dagster, {escape_event(hour.event)!r} is an event of hourly_gzip_{asset}")
        answers[text] = Answer(text, str(one.state), tuple(lines), _facts(one, hour, pipeline))
    return answers


# --- saying --------------------------------------------------------------------------------------------------


def _words(  # noqa: PLR0911  (a table of cases, one return each)
    one: Whereabouts, pipeline: Pipeline, hour: Hour, seen: Seen
) -> list[str]:
    uri = pipeline.target_uri(hour)
    explain = f"`{explain_command(hour)}` says more"
    place, listed, bad = one.place, one.listed, one.bad
    rows = ""
    if place is not None and seen.target is not None and seen.target.ledger is not None:
        of = f"{place.first_row:,} to {place.last_row:,} of {seen.target.ledger.rows:,}"
        rows = f"rows {of}, in segment {place.segment}" if place.held.rows else "it has no rows"
    match one.state:
        case State.HELD:
            return [f"in {uri}: {rows}"]
        case State.VANISHED:
            keeps = pipeline.policy(hour.event).on_vanished == "keep"
            stay = "its rows stay (on_vanished = keep)" if keeps else f"its rows go (on_vanished = drop): {explain}"
            return [f"in {uri}: {rows}", f"the object is gone from the source; {stay}"]
        case State.REWRITTEN if place is not None:
            return [
                f"an earlier content of it is in {uri}: {rows}",
                f"{_listed(one)}; its new content is not ingested yet: {explain}",
            ]
        case State.REWRITTEN:
            was = "" if bad is None else f", which was {_why(bad)}"
            return [f"an earlier content of it was left out{was}", f"{_listed(one)} and not looked at yet: {explain}"]
        case State.QUARANTINED if bad is not None:
            gone = "" if listed is not None else "; it is gone from the source"
            kind = kind_of(bad, is_there=listed is not None)
            word = kind_of(bad, is_there=True)
            return [
                f"{word}, so not in {uri}: {_why(bad)}{gone}",
                dict(left_out([bad], (), [] if listed is None else [listed]).changed_by(hour))[kind],
            ]
        case State.WAITING:
            file = "which has no hour file yet" if seen.target is None else f"whose hour file is older: {uri}"
            return [f"not ingested yet: {_listed(one)}; it belongs to {hour}, {file}", explain]
        case _:
            return [f"there is no such object, and the hour file of {hour} knows of none"]


def _why(bad: Quarantined) -> str:
    return f"{shortened(bad.reason)}: {shortened(bad.detail)}"


def _listed(one: Whereabouts) -> str:
    when = one.listed.last_modified if one.listed is not None else None
    return "the object is there" if when is None else f"the object is of {_time(when)}"


def _since_words(since: Since | None) -> list[str]:
    if since is None:
        return []
    words = [f"since {_time(since.info.last_modified)}"]
    words += [f"version {since.info.version_id}"] if since.info.version_id is not None else []
    return [", ".join([*words, *filter(None, [str(since.certainty)])])]


def _facts(one: Whereabouts, hour: Hour, pipeline: Pipeline) -> dict[str, Any]:
    place, bad = one.place, one.bad
    return {
        "event": hour.event,
        "hour": hour.label,
        "hour_file": pipeline.target_uri(hour),
        "segment": None if place is None else place.segment,
        "first_row": None if place is None else place.first_row,
        "rows": None if place is None else place.held.rows,
        "listed": one.listed is not None,
        "reason": None if bad is None else bad.reason,
    }


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
