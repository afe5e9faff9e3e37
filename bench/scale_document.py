"""docs/scale.md, out of `bench.scale`: `python -m bench.scale_document > docs/scale.md`.

Tables, and words with the numbers in them; a test compares the document with what this prints. What runs showed is
here as it was measured, beside what is predicted of the same.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bench.prices import MONTH_S, SQS_PER_ARRIVAL, USD_PER_SQS_REQUEST
from bench.scale import (
    BENDS,
    CACHE_S,
    COMFORTABLE_S,
    DAY_S,
    LARGEST_GRID,
    LEAST,
    MEMORY_KEY_S,
    RECORDS,
    UNITS,
    Deployment,
    first,
    largest,
)
from bench.scale_run import DAYS
from s3_assets.cli.cost import USD_PER_WRITE
from s3_assets.controller.survey import LISTERS
from s3_assets.controller.tick import HOT_SHARE
from s3_assets.dagster.hints import HINTS_PER_TICK
from s3_assets.dagster.sensors import HINT_INTERVAL_S, INTERVAL_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

EVENTS: Final = (10, 1_000, 10_000)
OBJECTS: Final = tuple(10.0**power for power in range(6, 11))

SPLIT: Final = Deployment(10_000, 1e9)
"""What is divided among code locations in the document's table."""

# --- what runs showed --------------------------------------------------------------------------------------

LISTED: Final = {"events": 1_000, "requests": 500}
LISTING: Final = {
    "ticks of a round": {1: 35, 6: 84},
    "ticks until all recent dates were looked at": {1: 7, 6: 7},
    "requests a tick": {1: 500, 6: 500},
    "CPU s a tick": {1: 4.46, 6: 3.92},
}
"""By objects in an hour: `python -m bench.scale_run listing --ticks 12`, and `--per-hour 6 --ticks 8`."""

RUNS: Final = ((1, 22, 155_648), (100, 121, 991_232), (400, 421, 3_526_656))
"""`python -m bench.scale_run records`: hours of a run, rows and bytes of its own file."""

# --- as Markdown -------------------------------------------------------------------------------------------


def table(head: list[str], rows: Iterable[list[str]], text_columns: int = 1) -> str:
    """As Markdown, numbers to the right."""
    lines = ["| " + " | ".join(head) + " |"]
    lines.append("|" + "|".join("---" if place < text_columns else "---:" for place in range(len(head))) + "|")
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def power(number: float) -> str:
    """`10⁶`, `2.1·10⁷`; a word for what never is, and for what always is."""
    if math.isinf(number):
        return "never"
    if number <= 10**LEAST:
        return "always"
    exponent = math.floor(math.log10(number) + 1e-9)
    digits = str(exponent).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    mantissa = number / 10**exponent
    return f"10{digits}" if abs(mantissa - 1) < 0.01 else f"{mantissa:.1f}·10{digits}"


def count(number: float) -> str:
    """Three digits, and words for what is large."""
    if math.isinf(number):
        return "never"
    for limit, word in ((1e9, "billion"), (1e6, "million")):
        if number >= limit:
            return f"{float(f'{number / limit:.3g}'):,g} {word}"
    return f"{float(f'{number:.3g}'):,.0f}" if number >= 1 else f"{number:.2g}"


def seconds(number: float) -> str:
    """`30 s`, `12 min`, `3.5 h`, `8 days`."""
    if math.isinf(number):
        return "never"
    for limit, unit, word in ((120, 1, "s"), (7200, 60, "min"), (2 * DAY_S, 3600, "h"), (math.inf, DAY_S, "days")):
        if number < limit:
            return f"{float(f'{number / unit:.2g}'):,g} {word}"
    raise AssertionError


def usd(number: float) -> str:
    """Whole dollars; below ten, cents."""
    return f"{number:.2f}" if number < 10 else f"{float(f'{number:.3g}'):,.0f}"


def units_table() -> str:
    """What one of something costs, and where that is from."""
    rows = [[name, f"{float(f'{unit.value:.3g}'):g}", unit.how, f"{unit.file}"] for name, unit in UNITS.items()]
    return table(["", "", "measured by", "told in"], [[row[0], row[1], row[2], row[3]] for row in rows], 4)


def _grid(head: list[str], row: Callable[[Deployment], list[str]]) -> str:
    rows = [
        [f"{events:,}", power(objects), *row(Deployment(events, objects))] for events in EVENTS for objects in OBJECTS
    ]
    return table(["events", "objects a year", *head], rows, 0)


def listing_table() -> str:
    """How long and how much."""
    return _grid(
        ["a tick: requests", "s", "a recent object waits", "a round: requests", "a round", "LIST, USD a month"],
        lambda one: [
            f"{one.tick.requests:,}",
            f"{one.tick.seconds:.1f}",
            seconds(one.seen_s),
            count(one.sweep.requests),
            seconds(one.round_s),
            usd(one.listing_usd),
        ],
    )


def hints_table() -> str:
    """Messages, and whether ticks take them."""
    return _grid(
        [
            "messages a month",
            "hours named between two looks",
            "hours that a tick can look at",
            "keeps up",
            "USD a month",
        ],
        lambda one: [
            count(one.messages),
            count(one.hinted_hours),
            f"{one.hint_hours_room:,}",
            "yes" if one.hints_keep_up else "**no**",
            usd(one.hints_usd),
        ],
    )


def making_table() -> str:
    """Runs and what they take."""
    return _grid(
        ["objects an hour file", "made how often", "made a month", "runs a month", "runs work", "S3, USD a month"],
        lambda one: [
            count(one.per_hour),
            f"{one.makes(one.every_s):.1f}",
            count(one.made),
            count(one.runs),
            f"{min(1.0, one.busy(one.every_s)):.0%}" if one.machines <= 1 else f"**{one.machines:.1f} machines**",
            usd(one.making_usd),
        ],
    )


def stays_table() -> str:
    """What grows for ever."""
    return _grid(
        ["records a year", "SQLite, GB a year", "Postgres, GB a year", "S3, TB", "S3 storage, USD a month"],
        lambda one: [
            count(one.rows),
            count(one.sqlite_gb),
            count(one.postgres_gb),
            f"{float(f'{one.storage_gb / 1000:.2g}'):,g}",
            usd(one.storage_usd),
        ],
    )


def grids_table() -> str:
    """Partitions in the UI, by events and how far back."""
    rows = []
    for events in EVENTS:
        for days in (0, 90, 1):
            one = Deployment(events, 1e8, grid_days=days)
            page = seconds(one.page_s) if one.partitions <= LARGEST_GRID else "not seen to answer"
            cells = [f"{events:,}", f"{days or 'a year'}", count(one.partitions), page, f"{one.groups:,}"]
            rows.append([*cells, seconds(one.hours * CACHE_S)])
    head = ["events", "`S3_ASSETS_GRID_DAYS`", "partitions", "partitions page", "groups for a page in 10 s"]
    return table([*head, "status cache, CPU"], rows, 0)


def bends_table() -> str:
    """From how many objects a year on."""
    rows = [[bend.words, *(power(first(events, name)) for events in EVENTS)] for name, bend in BENDS.items()]
    return table(["from so many objects a year on", *(f"{events:,} events" for events in EVENTS)], rows)


def split_table() -> str:
    """What code locations do for the largest."""
    rows = []
    for locations in (1, 2, 4, 8, 16):
        for words, settings in (("10 s, 500", lambda one: one), ("50 s, 100,000", largest)):
            one = settings(part_of(SPLIT, locations))
            usd_ = one.listing_usd * locations
            rows.append(
                [str(locations), words, f"{one.events:,}", seconds(one.seen_s), seconds(one.round_s), usd(usd_)]
            )
    head = [
        "code locations",
        "a tick may take",
        "events in each",
        "a recent object waits",
        "a round",
        "LIST, USD a month",
    ]
    return table(head, rows, 0)


def part_of(whole: Deployment, locations: int) -> Deployment:
    """A code location's share. Each lists the names of all events in each of its ticks."""
    return replace(whole, events=whole.events // locations, objects=whole.objects / locations, names=whole.events)


def listing_run_table() -> str:
    """Predicted and measured: ticks."""
    head, rows = [""], [[name] for name in LISTING]
    for per_hour in (1, 6):
        head += [f"{listed(per_hour).objects:,.0f} objects: predicted", "measured"]
        for row, (name, value) in zip(rows, said_of_listing(per_hour).items(), strict=True):
            row += [f"{value:,}", f"{LISTING[name][per_hour]:,}"]
    return table(head, rows)


def said_of_listing(per_hour: int) -> dict[str, float]:
    """What is predicted of what `LISTING` holds."""
    paper = listed(per_hour)
    return {
        "ticks of a round": paper.round_ticks,
        "ticks until all recent dates were looked at": paper.hot_ticks,
        "requests a tick": paper.tick.requests,
        "CPU s a tick": round(paper.tick.seconds, 2),
    }


def listed(per_hour: int) -> Deployment:
    """What `LISTING` was measured of."""
    events = LISTED["events"]
    return Deployment(
        events,
        events * DAYS * 24 * per_hour,
        days=DAYS,
        is_even=True,
        tick_seconds=50,
        tick_requests=LISTED["requests"],
        key_s=MEMORY_KEY_S,
        compare_s=0,
    )


def records_run_table() -> str:
    """Predicted and measured: what runs leave."""
    rows = [
        [
            f"{hours:,}",
            f"{RECORDS.run_rows + hours * RECORDS.hour_rows:,.0f}",
            f"{rows_:,}",
            f"{(RECORDS.run_bytes + hours * RECORDS.hour_bytes) / 1000:,.0f}",
            f"{bytes_ / 1000:,.0f}",
        ]
        for hours, rows_, bytes_ in RUNS
    ]
    return table(["hours of a run", "rows: predicted", "measured", "kB: predicted", "measured"], rows, 0)


# --- the words ---------------------------------------------------------------------------------------------


def recent_dates() -> str:
    """When they don't fit into a tick."""
    one = Deployment(1, 1e6)
    room = HOT_SHARE * one.tick_requests / one.hot_days
    keys = HOT_SHARE * one.tick_seconds / one.key_s
    a_year = keys / one.hot_days * 365
    many, wide = Deployment(1_000, 1e7), replace(Deployment(1_000, 1e7), tick_requests=4_000)
    return f"""\
**The recent dates do not fit into a tick.** Each tick lists the last {one.hot_days} dates of every event, with at
most {HOT_SHARE:.0%} of its budget. It is a request for each event and date, so {room:.0f} events fill the default of
{one.tick_requests} requests, whatever they hold; and {count(keys)} objects in these dates fill its
{one.tick_seconds:g} s, which is {power(a_year)} objects a year. From there on the next tick goes on where this one
stopped, and a new object waits longer: with 1,000 events {seconds(many.seen_s)} in place of {seconds(many.cycle_s)}.
Nothing is lost. *What to do:* where events are many and small, `S3_ASSETS_TICK_REQUESTS=4000` looks at all of 1,000
in each tick, for {usd(wide.listing_usd)} USD a month in place of {usd(many.listing_usd)}. Where objects are many,
`S3_ASSETS_TICK_SECONDS`, `S3_ASSETS_HOT_DAYS=1`, or hints; then several code locations."""


def one_date() -> str:
    """When a single one does not."""
    at, most = first(10, "date"), first(10, "date", largest(Deployment(1, 1)))
    return f"""\
**No tick lists one date of one event.** With 10 events that is from {power(at)} objects a year on, or {power(most)}
with 50 s. Recent objects are then found by the sweep alone, hour by hour, and from about
{count(10 / Deployment(1, 1).key_s)} objects in one hour on not even so: such an hour is asked for unseen, once in a
round. *What to do:* hints, which list single hours. The one that helps for good is the producer's: larger objects, or
the event divided into several."""


def the_sweep() -> str:
    """When a round takes more than a day."""
    at, most = first(1_000, "sweep"), first(1_000, "largest")
    one = largest(Deployment(1_000, 1e8))
    return f"""\
**A round of the sweep takes more than a day** from {power(at)} objects on with the default budget, and from
{power(most)} with the largest, 50 s and 100,000 requests: a key takes a tick {Deployment(1, 1).key_s * 1e6:.0f} µs of
one core, and a tick can't have more than that core. So long a late object of an old date may wait, and no longer: a
round of 8 days finds it within 8 days. The largest budget costs {usd(one.listing_usd)} USD a month of LIST at 10⁸
objects and all of a core. *What to do:* hints find late objects at once, and leave to the sweep what no message
named; a later `S3_ASSETS_START_DATE` leaves old dates alone; several code locations sweep side by side, as below."""


def the_hints() -> str:
    """When they fall behind, and what they cost."""
    one = Deployment(1_000, 1e8)
    behind = [power(first(events, "hints")) for events in EVENTS]
    dearer = [power(first(events, "dearer")) for events in EVENTS]
    ticks_usd = MONTH_S / INTERVAL_S * USD_PER_WRITE
    message_usd = (1 + SQS_PER_ARRIVAL) * USD_PER_SQS_REQUEST
    return f"""\
**Hints fall behind** from {behind[0]}, {behind[1]} and {behind[2]} objects a year on, with 10, 1,000 and 10,000
events: a tick takes at most {HINTS_PER_TICK:,} messages every {HINT_INTERVAL_S} s, and it lists the whole of each
hour that they name, {one.hint_hours_room} small ones with the default budget. What it does not get to comes again,
and what is not read within the queue's retention is found by listing: nothing is lost, and little is gained. *What to
do:* a code location and a queue of its own for each part of the events.

**Hints cost more than listing** from {dearer[0]}, {dearer[1]} and {dearer[2]} objects a year on. Listing has a
ceiling: {one.tick_requests} requests every {INTERVAL_S} s are {usd(one.tick_requests * ticks_usd)} USD a month,
whatever there is. Hints have none: a million messages are {usd(1e6 * message_usd)} USD, and the listing of the hours
that they name is up to {usd(1e6 * 2 * USD_PER_WRITE)} more. Below that, hints with `S3_ASSETS_TICK_REQUESTS=50`
({usd(50 * ticks_usd)} USD a month) are both the cheaper and the faster way; above, they are still the faster one."""


def the_runs() -> str:
    """How many there are, and when one at a time is not enough."""
    at = [power(first(events, "runs")) for events in EVENTS]
    worst, small = Deployment(10_000, 1e9), Deployment(10, 1e6)
    return f"""\
**Few objects make many runs.** A tick that finds something asks for it at once. With 10 events and 10⁶ objects a
year, two every minute, there are {count(small.runs)} runs a month of an hour or two each:
{small.busy(small.every_s):.0%} of one core, more than 10,000 events with as many objects take, whose recent dates are
looked at less often. No setting holds a tick back.

**One run at a time is not enough** from {at[0]} to {at[2]} objects a year on, later than all else: what runs can't
keep up with is made in larger lots, and an hour that is made less often costs less. At 10⁹ objects and 10,000 events
they work {worst.busy(worst.every_s):.0%} of the time. *What to do:* a run launcher that starts runs on other
machines, and the limit of the pool `hour_files` at their number. Two runs on one hour cost time only.

**An hour is made while it fills**, so a busy event is written often: with 114 objects in an hour,
{Deployment(10, 1e7).makes(30):.0f} times. Each is a version of the object where the bucket keeps versions: let a
lifecycle rule remove those that do not stand any more."""


def the_records() -> str:
    """When SQLite is too small."""
    at = [power(first(events, "sqlite")) for events in EVENTS]
    small, one = Deployment(10, 1e6), Deployment(1_000, 1e8)
    return f"""\
**SQLite must become Postgres** when runs or code locations are on several machines: SQLite is files of one machine.
By size earlier than that: it grows by 100 GB a year from {at[0]}, {at[1]} and {at[2]} objects a year on, with 10,
1,000 and 10,000 events. Each run has a file of its own, of {RECORDS.run_bytes / 1000:.0f} kB though it makes nothing:
with 10 events and 10⁶ objects {count(small.runs * 365 / 30)} files in one folder after a year, which are
{small.runs * 365 / 30 * RECORDS.run_bytes / 1e9 / small.sqlite_gb:.0%} of its {count(small.sqlite_gb)} GB. Where
hours are many it is each event that is kept twice: {count(one.sqlite_gb)} GB a year with 1,000 events and 10⁸
objects. Postgres has no file for a run and keeps each event once, {count(small.postgres_gb)} and
{count(one.postgres_gb)} GB in these two; that is predicted from SQLite's index, and was not measured. Dagster removes
no events, and a run that is deleted takes with it what it put on record of its hours: they are then looked at again."""


def the_grid() -> str:
    """When the UI does not answer."""
    room = COMFORTABLE_S / (Deployment(1, 1, days=1).page_s / 24)
    return f"""\
**The partitions page** takes about 48 µs for each partition: 10 s for {count(room)}, which is {room / 8760:.0f}
events for a year, or {room / 24 / 105:.0f} with `S3_ASSETS_GRID_DAYS=90`. {count(LARGEST_GRID)} were seen to answer,
in 21 s; 1.75 million were not, within 120 s. *What to do:* `S3_ASSETS_GRID_DAYS`, then `[groups]` of about
{room / 24 / 105:.0f} events. At 10,000 events no setting makes the grid a page that people open: the shortest grid
needs {Deployment(10_000, 1e8, grid_days=1).groups} groups. Their hours are then looked at with `s3-assets plan`,
`show` and `where`, and by metrics and alerts, none of which needs the grid. The status cache is made anew for every
hour on record when an event is added: at 10⁸ objects of 10,000 events that is
{seconds(Deployment(10_000, 1e8).hours * CACHE_S)} of CPU in the webserver."""


def the_location() -> str:
    """What one code location is bound by."""
    return """\
**One code location** is one process, and its ticks share one core, however many groups and sensors it has: `[groups]`
make grids smaller, not ticks faster. Several code locations are several processes."""


def flowing(text: str) -> str:
    """The text with a line for each paragraph and each item of a list."""
    lines: list[str] = []
    for line in text.splitlines():
        goes_on = lines and lines[-1] and line and not line.startswith(("- ", "|", "#", "<"))
        if goes_on and not lines[-1].startswith(("|", "#", "<")):
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def document() -> str:
    """The whole document."""
    return flowing(_document())


def _document() -> str:
    per_key = Deployment(1, 1).key_s
    return f"""\
# Scale

<!-- Made by `python -m bench.scale_document` from bench/scale.py. -->

What grows with events and objects, where it bends, and what to do then; on paper, from costs that were measured one
by one. The smallest size here, 10 events and 10⁶ objects a year, is like what tests and benchmarks run; the largest
is several thousand times what any run here has seen. AWS itself was not tried.

## What is assumed

- So many objects come in a year, at random over all events and hours, on time, and stay for a year. Events are alike.
  Real ones are not: take the size of the largest events for what is said of one event, and the sum for the rest.
- An object has 10 kB, and its rows compress to a quarter.
- Settings are the defaults: a tick of 10 s and 500 requests every 30 s, 2 recent dates, 500 hours in a run; one run
  at a time, one code location.
- Listing keeps one core busy, so that its time is CPU time: {per_key * 1e6:.0f} µs for each key. {LISTERS} listings
  are under way at a time, so a store that answers within {LISTERS * 1000 * per_key:.1f} s for each 1,000 keys hides
  behind that. One that is slower bends earlier.
- Prices are AWS's list prices, us-east-1, November 2026, without what is free each month: those of `s3-assets plan`,
  and of SQS and storage. Hints' messages come straight from S3; EventBridge and SNS cost more.

## What one of something costs

{units_table()}

A run leaves {RECORDS.run_rows:.0f} events and {RECORDS.run_bytes / 1000:.0f} kB in a file of its own, and each hour
that it makes {RECORDS.hour_rows:.0f} and {RECORDS.hour_bytes / 1000:.1f} kB more (`python -m bench.scale_run
records`).

## Where it bends

From how many objects a year on, with the default settings:

{bends_table()}

{recent_dates()}

{one_date()}

{the_sweep()}

{the_hints()}

{the_runs()}

{the_records()}

{the_grid()}

{the_location()}

## Several code locations

[examples/split](../examples/split) divides the events of one bucket and one prefix among two code locations, by
`[groups]` in one TOML file that both read: no event is in two, and none is in neither. Each is a process with its own
sensors, grids, jobs and alerts; the instance, the bucket and the pool are shared. {count(SPLIT.objects)} objects a
year of {SPLIT.events:,} events:

{split_table()}

- Each location lists the names of all events in each tick, {2 * math.ceil(SPLIT.events / 1000)} requests here. That
  is all that is done more than once.
- The daemon evaluates one sensor after the other, and so gains nothing from processes, unless `dagster.yaml` says
  `sensors: {{use_threads: true, num_workers: …}}`.
- Each location takes a core while it ticks: with more locations than cores they wait for each other.
- Two locations read one queue of hints only to put back what is the other's: give each its own.
- A second instance of Dagster, with its own storage, is the next step; it has its own UI.

## Listing

What a tick spends, in the mean of a round, and how long an object waits at most until a tick sees it:

{listing_table()}

## Hints

{hints_table()}

## Runs

How often an hour file is made follows from how often a tick looks at it, and from what runs can keep up with. Where
ticks take long to come round, hours are made less often, and so cost less.

{making_table()}

## What stays

{stays_table()}

## Partitions in the UI

At 10⁸ objects a year:

{grids_table()}

## Held against runs

**Ticks**: {LISTED["events"]:,} events, {DAYS} days, 1 and 6 objects in each hour, whose listings are made up as they
are asked for, so that no memory bounds their number; {LISTED["requests"]} requests a tick, and 50 CPU seconds in
place of the clock, as others used the machine. Some ticks were measured, of which a round follows (`python -m
bench.scale_run listing --ticks 12`, and `--per-hour 6 --ticks 8`). The cost of a key in the prediction is from 20
events and 28,320 objects, which one tick listed. In the smaller size the counts were predicted before the run; the
CPU seconds of a tick were 7.76 then, as the model charged a tick with recent dates that its requests do not reach.
With that mended, all of the larger size was predicted before its run.

{listing_run_table()}

So the model is too careful with more objects. It takes the eight listings under way at the end of a tick for lost, as
they are where each waits for the network; in memory hardly one was. And it charges each key alike, while much of a
tick's work is for each hour, so that a key costs less where an hour has more of them: at six in an hour, half. The
times of rounds above are rather too long than too short, by up to that factor.

**Records**: runs of a live deployment on SQLite (`python -m bench.scale_run records`). The costs in the prediction
are from the runs of 1 and of 100 hours; the last line is predicted from them.

{records_run_table()}

What was not held against a run: AWS's own speed, Postgres, hints above some hundred messages, several machines, and
any year."""


if __name__ == "__main__":
    print(document(), end="")
