"""What sample producers drop: source objects, and which rows each hour file must hold because of them.

Pure and seeded: an object's content depends on its key (and on which writing of it this is), the recent part on the
moment that is given, nothing on the clock. A producer knows the rows that it wrote, so what is expected here owes
nothing to the code that is checked with it.
"""

from __future__ import annotations

import csv
import gzip
import io
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from s3_assets.hour_file.keys import Hour

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

SEED: Final = 20210901

CUSTOMERS: Final = "customer_new_customer_event"
CUSTOMER_DAY: Final = "2021-09-01"
CUSTOMER_OBJECTS: Final = ((7, 0, 123), (7, 15, 124), (7, 27, 125), (7, 50, 126), (8, 15, 127))
"""Hour, minute and number of the objects that are there from the start."""

SEVEN: Final = Hour(CUSTOMERS, f"{CUSTOMER_DAY}-07:00")
EIGHT: Final = Hour(CUSTOMERS, f"{CUSTOMER_DAY}-08:00")

PAYMENTS: Final = "payments"
PAGE_VIEWS: Final = "page_views"
REVIEWS: Final = "상품 리뷰"

RECENT_HOURS: Final = 5
"""How many hours of recent objects there are, the current one included."""

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """One source object as a producer drops it.

    Attributes:
        key: Relative to the source prefix.
        data: As stored.
        hour: Whose hour file it belongs into; None where its key names no hour that is taken.
        order: Where its rows stand among the hour's: minute, stem and number of its name.
        columns: Of its header.
        rows: What it holds, field by field; none where it is unusable.
        reason: Why it is left out; empty where it is not.
    """

    key: str
    data: bytes
    hour: Hour | None
    order: tuple[int, str, int]
    columns: Row = ()
    rows: tuple[Row, ...] = ()
    reason: str = ""


@dataclass(slots=True)
class Expected:
    """What one hour file must hold.

    Attributes:
        columns: Of its header: those of the first object, then what the next ones add.
        rows: In order.
        sources: How many source objects the hour has, unusable ones included.
        unusable: Their keys, with the reason.
    """

    columns: Row = ()
    rows: list[Row] = field(default_factory=list)
    sources: int = 0
    unusable: dict[str, str] = field(default_factory=dict)


def expected(drops: Iterable[Drop]) -> dict[Hour, Expected]:
    """Which hour files must be there after `drops` in this order, and what each must hold."""
    last = {drop.key: drop for drop in drops}
    hours: dict[Hour, Expected] = {}
    usable: dict[Hour, list[Drop]] = {}
    for drop in sorted(last.values(), key=lambda drop: drop.order):
        if drop.hour is None:
            continue
        hour = hours.setdefault(drop.hour, Expected())
        hour.sources += 1
        if drop.reason:
            hour.unusable[drop.key] = drop.reason
        else:
            usable.setdefault(drop.hour, []).append(drop)
    for name, parts in usable.items():
        hour = hours[name]
        hour.columns = tuple(dict.fromkeys(column for drop in parts if drop.rows for column in drop.columns))
        for drop in parts:
            hour.rows += [tuple(row.get(column, "") for column in hour.columns) for row in _named(drop)]
    return hours


def _named(drop: Drop) -> Iterator[dict[str, str]]:
    return (dict(zip(drop.columns, row, strict=True)) for row in drop.rows)


def hour_file_rows(data: bytes) -> tuple[Row, list[Row]]:
    """The header and the rows in an hour file's bytes, read by Python's own gzip and csv."""
    text = io.StringIO(gzip.decompress(data).decode(), newline="")
    rows = [tuple(row) for row in csv.reader(text)]
    return (rows[0], rows[1:]) if rows else ((), [])


def as_csv(columns: Row, rows: Iterable[Row], *, line_end: str = "\n") -> bytes:
    """A header and rows, quoted where they must be."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=line_end)
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


# --- producers ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Producer:
    """Writes the objects of one event, evenly over the hour.

    Attributes:
        event: Its folder.
        per_hour: Objects per hour.
        most_rows: Of one object; the least is a third of it.
        columns: Of its header.
        fields: A row, by chance, number and time.
        zipped: Whether it drops gzip.
    """

    event: str
    per_hour: int
    most_rows: int
    columns: Row
    fields: Callable[[random.Random, int, datetime], Row]
    zipped: bool = False

    def write(
        self,
        start: datetime,
        minute: int,
        number: int,
        *,
        stem: str = "file",
        edition: int = 1,
        rows: int | None = None,
    ) -> Drop:
        """One object of the hour that begins at `start` (UTC).

        Args:
            start: Of the hour.
            minute: In the object's name.
            number: In the object's name.
            stem: In the object's name.
            edition: Another one has other rows under the same key.
            rows: How many; None leaves it to chance.
        """
        chance = _chance(self.event, start.isoformat(), minute, stem, number, edition)
        count = chance.randint(-(-self.most_rows // 3), self.most_rows) if rows is None else rows
        since = start + timedelta(minutes=minute)
        written = tuple(
            self.fields(chance, number * 1000 + place, since + timedelta(seconds=place)) for place in range(count)
        )
        data = as_csv(self.columns, written)
        name = f"{start:%H}_{minute:02d}_{stem}_{number}.csv{'.gz' if self.zipped else ''}"
        return Drop(
            key=f"{self.event}/{start:%Y-%m-%d}/{name}",
            data=gzip.compress(data, mtime=0) if self.zipped else data,
            hour=Hour(self.event, f"{start:%Y-%m-%d-%H}:00"),
            order=(minute, stem, number),
            columns=self.columns,
            rows=written,
        )

    def hour(self, start: datetime, until: datetime) -> Iterator[Drop]:
        """Its objects of one hour, as far as they are due by `until`."""
        for index in range(self.per_hour):
            minute = index * 60 // self.per_hour
            if start + timedelta(minutes=minute) <= until:
                yield self.write(start, minute, index + 1)


_FAMILY = "김이박최정강조윤장임한오서신권황안송류홍"
_GIVEN = (
    "민준",
    "서연",
    "도윤",
    "지우",
    "하준",
    "서윤",
    "시우",
    "하은",
    "지호",
    "수아",
    "은우",
    "다은",
    "유진",
    "현우",
)
_CITIES = (
    "서울특별시 강남구",
    "부산광역시 해운대구",
    "대구광역시 수성구",
    "제주특별자치도 제주시",
    "경기도 성남시 분당구",
)
_STREETS = ("테헤란로", "해운대로", "동대구로", "연삼로", "판교역로")
_MEMOS = ("", "N/A", '"단골" 손님', "문 앞에 두세요\n초인종 X", "VIP, 재방문", "첫 구매")
_PRAISE = ("좋아요", "배송이 빨라요, 추천!", '색이 "조금" 달라요', "별로예요\n환불 요청", "재구매 의사 있음", "👍")
_PAGES = ("/", "/products/007", "/cart", "/search?q=%EC%8B%A0%EB%B0%9C&page=2", "/event/2021-09")


def _chance(*parts: object) -> random.Random:
    return random.Random("/".join(map(str, (SEED, *parts))))  # noqa: S311 - sample data


def _name(chance: random.Random) -> str:
    return chance.choice(_FAMILY) + chance.choice(_GIVEN)


def _customer(chance: random.Random, number: int, moment: datetime) -> Row:
    address = f"{chance.choice(_CITIES)} {chance.choice(_STREETS)} {chance.randint(1, 300)}, {chance.randint(1, 40)}층"
    phone = f"010-{chance.randint(0, 9999):04d}-{chance.randint(0, 9999):04d}"
    identity = f"{number % 1000:03d}"  # 007 stays 007
    return (identity, _name(chance), phone, address, chance.choice(_MEMOS), moment.isoformat())


def _payment(chance: random.Random, number: int, moment: datetime) -> Row:
    amount = f"{chance.randint(0, 500)}.{chance.randint(0, 9)}0"  # 1.10 stays 1.10
    status = chance.choice(("paid", "paid", "paid", "refunded", "N/A"))
    return (f"{number:08d}", f"{chance.randint(1, 999):03d}", amount, status, moment.isoformat())


def _page_view(chance: random.Random, number: int, moment: datetime) -> Row:
    return (f"{number:07d}", chance.choice(_PAGES), str(chance.randint(1, 4000)), moment.isoformat())


def _review(chance: random.Random, number: int, moment: datetime) -> Row:
    return (f"{number:05d}", _name(chance), str(chance.randint(1, 5)), chance.choice(_PRAISE), moment.isoformat())


CUSTOMER_PRODUCER: Final = Producer(
    CUSTOMERS, 4, 40, ("customer_id", "name", "phone", "address", "memo", "created_at"), _customer
)
PAYMENT_PRODUCER: Final = Producer(
    PAYMENTS, 12, 60, ("payment_id", "customer_id", "amount", "status", "paid_at"), _payment, zipped=True
)
PAGE_VIEW_PRODUCER: Final = Producer(PAGE_VIEWS, 60, 45, ("view_id", "path", "ms", "seen_at"), _page_view)
REVIEW_PRODUCER: Final = Producer(REVIEWS, 10, 20, ("review_id", "name", "stars", "text", "written_at"), _review)

RECENT_PRODUCERS: Final = (PAYMENT_PRODUCER, REVIEW_PRODUCER, PAGE_VIEW_PRODUCER)


# --- what is there from the start --------------------------------------------------------------------------


def initial(now: datetime) -> list[Drop]:
    """Everything that is there from the start, in the order in which it is dropped; one object comes twice.

    Args:
        now: Aware; the recent objects are those of the hours before.
    """
    recent = list(recent_drops(now))
    return [*customer_day(), *recent, recent[0], *odd_drops(now), *broken_drops(now), *misplaced_drops()]


def customer_day() -> list[Drop]:
    """The five objects of 2021-09-01: four of 07:00, one of 08:00."""
    day = _customer_hour(0)
    return [
        CUSTOMER_PRODUCER.write(day.replace(hour=hour), minute, number) for hour, minute, number in CUSTOMER_OBJECTS
    ]


def recent_drops(now: datetime) -> Iterator[Drop]:
    """The objects of the last hours up to `now`, newest hour first."""
    current = hour_start(now)
    for ago in range(RECENT_HOURS):
        for producer in RECENT_PRODUCERS:
            yield from producer.hour(current - timedelta(hours=ago), now)


def odd_drops(now: datetime) -> list[Drop]:
    """Unusual, and right: what must come through unharmed."""
    old = hour_start(now) - timedelta(days=2)
    before = hour_start(now) - timedelta(hours=1)
    plain = PAYMENT_PRODUCER.write(before, 0, 1)
    wider = PAYMENT_PRODUCER.write(before, 31, 901, stem="wider", rows=7)
    columns = (*wider.columns, "currency")
    rows = tuple((*row, "KRW") for row in wider.rows)
    bare = REVIEW_PRODUCER.write(before, 32, 902, stem="bare", rows=5)
    windows = REVIEW_PRODUCER.write(before, 33, 903, stem="windows", rows=5)
    empty = PAGE_VIEW_PRODUCER.write(before, 34, 904, stem="header_only", rows=0)
    nothing = PAGE_VIEW_PRODUCER.write(before, 35, 905, stem="nothing", rows=0)
    return [
        PAYMENT_PRODUCER.write(old, 59, 12),  # an old hour
        replace(plain, key=plain.key.replace("00_file_1.", "00_same_1."), order=(0, "same", 1)),  # twice, two names
        replace(wider, data=as_csv(columns, rows), columns=columns, rows=rows),
        replace(bare, data=b"\xef\xbb\xbf" + bare.data.removesuffix(b"\n")),
        replace(windows, data=as_csv(windows.columns, windows.rows, line_end="\r\n")),
        empty,
        replace(nothing, data=b""),
    ]


def broken_drops(now: datetime) -> list[Drop]:
    """Unusable ones: each must be named with its reason, and must not hurt its hour."""
    before = hour_start(now) - timedelta(hours=1)
    cut = _unclosed(now)
    damaged = PAYMENT_PRODUCER.write(before, 51, 911, stem="damaged")
    wide = REVIEW_PRODUCER.write(before, 52, 912, stem="utf16")
    middle = len(damaged.data) // 2
    return [
        replace(cut, data=cut.data + '999,"문 앞에'.encode(), rows=(), reason="unclosed quote"),
        replace(damaged, data=damaged.data[:middle], rows=(), reason="damaged gzip"),
        replace(wide, data=wide.data.decode().encode("utf-16"), rows=(), reason="UTF-16"),
    ]


def misplaced_drops() -> list[Drop]:
    """Keys that name no hour that is taken."""
    text = b"not for the pipeline\n"
    keys = {
        f"{CUSTOMERS}/{CUSTOMER_DAY}/25_61_file_128.csv": "no such hour",
        f"{PAYMENTS}/readme.txt": "not of the form {event}/{date}/{HH}_{MM}_{name}.csv",
        f"{PAYMENTS}/2021-02-30/07_00_file_1.csv": "no such date",
        f"{PAYMENTS}/2199-01-01/00_00_file_1.csv": "in the future",
        f"{PAYMENTS}/2019-12-31/23_00_file_1.csv": "before the start date",
    }
    return [Drop(key, text, None, (0, "", 0), reason=reason) for key, reason in keys.items()]


# --- what comes after --------------------------------------------------------------------------------------


def late_customer() -> Drop:
    """A small late object for 2021-09-01 07:00; 08:00 must not notice."""
    return CUSTOMER_PRODUCER.write(_customer_hour(7), 20, 128, stem="late", rows=3)


def rewritten(now: datetime) -> Drop:
    """One of `recent_drops` with other rows under the same key."""
    return PAGE_VIEW_PRODUCER.write(hour_start(now) - timedelta(hours=2), 3, 4, edition=2)


def mended(now: datetime) -> Drop:
    """The one of `broken_drops` that had an unclosed quote, as it should have been."""
    return _unclosed(now)


def vanishing(now: datetime) -> Drop:
    """One of `recent_drops` that is to go and come back."""
    return PAYMENT_PRODUCER.write(hour_start(now) - timedelta(hours=3), 5, 2)


def stream(clock: Callable[[], datetime]) -> Iterator[Drop]:
    """Without end: each time it is asked, the object that producers drop at that moment; about one in three is late.

    Args:
        clock: Tells the moment (aware). Objects of two moments, a second apart or more, have different keys.
    """
    while True:
        now = clock().astimezone(UTC)
        second = int(now.timestamp())
        chance = _chance("stream", second)
        kind = chance.random()
        if kind < 0.1:  # noqa: PLR2004 - one in ten is very late
            minute = chance.randrange(60)
            yield CUSTOMER_PRODUCER.write(_customer_hour(7), minute, second, stem="late", rows=chance.randint(1, 5))
            continue
        producer = chance.choice(RECENT_PRODUCERS)
        start, minute, stem = hour_start(now), now.minute, "live"
        if kind < 0.35:  # noqa: PLR2004 - and one in four is hours late
            start -= timedelta(hours=chance.randint(1, RECENT_HOURS - 1))
            minute, stem = chance.randrange(60), "late"
        yield producer.write(start, minute, second, stem=stem)


def hour_start(moment: datetime) -> datetime:
    """The first instant of the hour that holds `moment` (aware)."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def source_bytes(drops: Sequence[Drop]) -> int:
    """Bytes as stored, each key once."""
    return sum(len(data) for data in {drop.key: drop.data for drop in drops}.values())


def _customer_hour(hour: int) -> datetime:
    return datetime.fromisoformat(CUSTOMER_DAY).replace(tzinfo=UTC, hour=hour)


def _unclosed(now: datetime) -> Drop:
    return REVIEW_PRODUCER.write(hour_start(now) - timedelta(hours=1), 50, 910, stem="cut")
