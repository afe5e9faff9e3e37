"""Sources that can't be read, or whose answer is not what was listed: named, never ingested, and the hour goes on."""

from __future__ import annotations

import pytest

from s3_assets.errors import (
    AccessDeniedError,
    ArchivedError,
    ChangedAnswerError,
    NotFoundError,
    StoreError,
    StoreUnavailableError,
    UnreadableSourcesError,
)
from s3_assets.hour_file.plan import UNREADABLE, Change, Verdict
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.store.contract import Download, ObjectInfo

ROWS = b"id,name\n1,ann\n"


class Odd:
    """A bucket in which some objects are answered otherwise than they are listed."""

    def __init__(self, inner, answers):
        self.inner, self.answers, self.asked = inner, answers, []

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def get(self, key, **options):
        """What the script says, or the object."""
        name = key.rpartition("/")[2]
        self.asked.append(name)
        answer = self.answers.get(name)
        if isinstance(answer, list):
            answer = answer.pop(0) if answer else None
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            return self.inner.get(key, **options)
        info = self.inner.head(key)
        body, etag = answer
        told = ObjectInfo(key, len(body), info.etag if etag is None else etag, info.last_modified)
        return Download(told, 0, len(body), [body])


def denied(name: str) -> AccessDeniedError:
    """A key of its own."""
    return AccessDeniedError("GetObject", name, "AccessDenied")


ERRORS = {
    "archived": lambda: ArchivedError("GetObject", "k", "InvalidObjectState"),
    "denied": lambda: denied("k"),
    "listed and not there": lambda: NotFoundError("GetObject", "k", "NoSuchKey"),
    "broken off": lambda: StoreUnavailableError("GetObject", "k", "the body ended"),
    "refused": lambda: StoreError("GetObject", "k", "HTTP 400"),
}
ANSWERS = {
    "half a body, with a length that agrees": (ROWS[:8], None),
    "no body": (b"", None),
    "another object's body, with its ETag": (b"id,name\n9,eve\n", "another"),
    "another object of another size": (b"id,name\n9,evelyn\n", "another"),
}
KINDS = {**{kind: make() for kind, make in ERRORS.items()}, **ANSWERS}


def odd(bench, answers):
    """Let builds see them."""
    bench.source_seen = Odd(bench.source, answers)
    return bench.source_seen


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("late", [False, True])
def test_the_hour_goes_on_without_it(bench, kind, late):
    """The others are in, also in its segment; it is named, tried again at each look, and then ingested."""
    bench.put("07_00_a.csv", b"id,name\n0,a\n")
    bench.put("07_09_z.csv", b"id,name\n9,z\n")
    if late:
        bench.build()
    bench.put("07_05_bad.csv", ROWS)
    bench.put("07_06_good.csv", b"id,name\n6,g\n")
    odd(bench, {"07_05_bad.csv": KINDS[kind]})
    for _ in range(2):
        with pytest.raises(UnreadableSourcesError) as caught:
            bench.build()
        assert caught.value.retryable
        assert "1 of 4 source objects" in str(caught.value)
        assert "07_05_bad.csv" in str(caught.value)
        assert bench.text() == b"id,name\n0,a\n6,g\n9,z\n"
        assert bench.quarantined() == {"07_05_bad.csv": UNREADABLE}
        bench.put("07_06_good.csv", b"id,name\n6,g\n")
    writes = bench.writes()
    with pytest.raises(UnreadableSourcesError):
        bench.build()
    assert bench.writes() == writes
    odd(bench, {})
    assert bench.build().plan.counts[Change.RECHECK] == 1
    assert bench.text() == b"id,name\n0,a\n1,ann\n6,g\n9,z\n"
    assert bench.quarantined() == {}


@pytest.mark.parametrize("kind", [*ANSWERS, "listed and not there"])
def test_one_odd_answer_is_asked_about_again(bench, kind):
    """It is neither committed nor quarantined; the next answer is right, and nothing is left of it."""
    bench.put("07_05_a.csv", ROWS)
    store = odd(bench, {"07_05_a.csv": [KINDS[kind]]})
    result = bench.build()
    assert (bench.text(), result.tries, bench.quarantined()) == (ROWS, 2, {})
    assert store.asked == ["07_05_a.csv"] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_rows_of_before_stay_while_a_rewritten_source_can_not_be_read(bench, kind):
    """Its new content is not known: the old is not taken out for nothing."""
    bench.put("07_00_a.csv", b"id,name\n0,a\n")
    bench.put("07_05_b.csv", b"id,name\n5,old\n")
    bench.build()
    bench.put("07_05_b.csv", ROWS)
    bench.put("07_06_c.csv", b"id,name\n6,c\n")
    odd(bench, {"07_05_b.csv": KINDS[kind]})
    with pytest.raises(UnreadableSourcesError):
        bench.build()
    assert bench.text() == b"id,name\n0,a\n5,old\n6,c\n"
    odd(bench, {})
    bench.build()
    assert bench.text() == b"id,name\n0,a\n1,ann\n6,c\n"


@pytest.mark.parametrize("kind", ERRORS)
def test_a_rebuild_keeps_what_it_can_not_read_again(bench, kind):
    """Its rows come from the hour file, as those of a source that is gone."""
    bench.put("07_00_a.csv", ROWS)
    bench.put("07_05_b.csv", b"id,name\n5,b\n")
    bench.build()
    before = bench.text()
    odd(bench, {"07_05_b.csv": KINDS[kind]})
    with pytest.raises(UnreadableSourcesError):
        bench.build(rebuild=True)
    assert bench.text() == before
    assert bench.quarantined() == {}


def test_an_hour_waits_where_its_rows_can_not_be_read_under_other_settings(bench):
    """Half read one way and half the other, good rows would leave. Nothing is written until it can be read."""
    bench.policy = EventPolicy(header=False)
    bench.put("07_00_a.csv", b"1,ann\n")
    bench.put("07_05_b.csv", b"id,name\n5,b\n")
    bench.build()
    before, writes = bench.text(), bench.writes()
    bench.policy = EventPolicy(columns=("id", "name"), header=False)
    odd(bench, {"07_00_a.csv": denied("k")})
    with pytest.raises(UnreadableSourcesError):
        bench.build()
    assert (bench.text(), bench.writes()) == (before, writes)
    odd(bench, {})
    bench.build()
    assert bench.text() == b"id,name\n1,ann\nid,name\n5,b\n"


def test_where_nothing_can_be_read_the_store_is_to_blame(bench):
    """The hour fails with what the store said, and its hint; alone, an object is named as its own case."""
    bench.put("07_00_a.csv", ROWS)
    bench.put("07_05_b.csv", ROWS)
    for error in (denied("k"), StoreUnavailableError("GetObject", "k", "503")):
        odd(bench, dict.fromkeys(["07_00_a.csv", "07_05_b.csv"], error))
        with pytest.raises(type(error)) as caught:
            bench.build()
        assert caught.value is error
    archived = ERRORS["archived"]()
    odd(bench, dict.fromkeys(["07_00_a.csv", "07_05_b.csv"], archived))
    with pytest.raises(UnreadableSourcesError, match="2 of 2") as caught:
        bench.build()
    assert "restore" in caught.value.hint
    assert bench.target.head(bench.key()) is None


def test_each_kind_has_its_own_cure(bench):
    """Not 'check the credentials', where others are read with them."""
    bench.put("07_00_a.csv", ROWS)
    bench.put("07_05_b.csv", ROWS)
    hints = {}
    for kind, answer in KINDS.items():
        odd(bench, {"07_05_b.csv": answer})
        with pytest.raises(UnreadableSourcesError) as caught:
            bench.build()
        hints[kind] = caught.value.hint
        (error,) = caught.value.unreadable.values()
        assert isinstance(error, ChangedAnswerError) == (kind in ANSWERS or kind == "listed and not there")
    assert "restore" in hints["archived"]
    assert "kms:Decrypt" in hints["denied"]
    assert "proxy" in hints["no body"]


def test_an_unreadable_source_that_vanishes_stays_named(bench):
    """Its rows could have stood, and are gone for good."""
    bench.put("07_00_a.csv", ROWS)
    bench.put("07_05_b.csv", ROWS)
    odd(bench, {"07_05_b.csv": denied("k")})
    with pytest.raises(UnreadableSourcesError):
        bench.build()
    bench.delete("07_05_b.csv")
    assert bench.build().plan.verdict is Verdict.NOTHING
    assert bench.quarantined() == {"07_05_b.csv": UNREADABLE}
