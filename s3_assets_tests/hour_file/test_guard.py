"""The commit guard: ledger against ledger, which rows may leave."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.errors import BreakerOpenError, RowsWouldLeaveError, S3AssetsError
from s3_assets.hour_file.guard import Decided, check_commit
from s3_assets.hour_file.keys import order_key
from s3_assets.hour_file.ledger import Held, Ledger, Segment
from s3_assets.hour_file.policy import EventPolicy

KEEP = EventPolicy(max_vanished_share=1.0)
DROP = EventPolicy(on_vanished="drop", max_vanished_share=1.0)
NOBODY = Decided()


def ledger(sources: dict[str, tuple[str, int]], policy: EventPolicy = KEEP) -> Ledger:
    """Of an hour file that holds `sources`: ETag and rows by key; each has ten bytes."""
    held = tuple(
        Held(key, etag, 10, None, rows, 2 * rows, None)
        for key, (etag, rows) in sorted(sources.items(), key=lambda item: order_key(item[0]))
    )
    segments = (Segment(10, 5, 0, sum(one.raw_length for one in held), 0, held),) if held else ()
    settings = {"compression": "x", "rules": "2", **policy.row_settings(), "on_vanished": policy.on_vanished}
    return Ledger("e", "2021-09-01-07:00", None, (), segments, (), settings, policy.content_token())


def listed(**etags: str) -> dict[str, tuple[str, int]]:
    """What the source shows."""
    return {key: (etag, 10) for key, etag in etags.items()}


BEFORE = ledger({"a": ("1", 5), "b": ("1", 3)})


def test_nothing_stands_before_the_first_build():
    """Nor where the hour file can't be read: a rebuild puts another in its place."""
    check_commit(None, ledger({}), listed(a="1"), KEEP, NOBODY)


@pytest.mark.parametrize("after", [{"b": ("1", 3)}, {"a": ("1", 4), "b": ("1", 3)}, {}])
@pytest.mark.parametrize("policy", [KEEP, DROP])
def test_rows_of_a_source_that_is_the_same_stay(after, policy):
    """All of them, under any policy, whatever else is there: the error names the source."""
    with pytest.raises(RowsWouldLeaveError) as caught:
        check_commit(BEFORE, ledger(after), listed(a="1", b="1", c="1"), policy, Decided(vanished=True))
    assert (caught.value.key, caught.value.rows) == ("a", 5)
    assert "'a'" in str(caught.value)
    with pytest.raises(RowsWouldLeaveError):
        check_commit(BEFORE, None, listed(a="1", b="1"), policy, Decided(vanished=True))


def test_an_operator_may_say_otherwise():
    """By a rebuild, or by other settings; compression and the like say nothing of rows."""
    seen = listed(a="1", b="1")
    check_commit(BEFORE, ledger({"b": ("1", 3)}), seen, KEEP, Decided(rebuild=True))
    for other in (EventPolicy(header=False), EventPolicy(columns=("x",)), EventPolicy(on_schema_change="quarantine")):
        check_commit(BEFORE, ledger({"b": ("1", 3)}, other), seen, other, NOBODY)
    other = EventPolicy(compression="fast", max_vanished_share=1.0)
    with pytest.raises(RowsWouldLeaveError):
        check_commit(BEFORE, ledger({"b": ("1", 3)}, other), seen, other, NOBODY)


def test_rows_of_a_gone_source_stay_under_keep():
    """Also in a rebuild; given up they are only by name."""
    for decided in (NOBODY, Decided(rebuild=True), Decided(lost_rows=True), Decided(vanished=True)):
        with pytest.raises(RowsWouldLeaveError):
            check_commit(BEFORE, ledger({"b": ("1", 3)}), listed(b="1"), KEEP, decided)
    check_commit(BEFORE, ledger({"b": ("1", 3)}), listed(b="1"), KEEP, Decided(rebuild=True, lost_rows=True))
    check_commit(BEFORE, ledger({"b": ("1", 3)}), listed(b="1"), DROP, NOBODY)


def test_rows_of_a_rewritten_source_go_with_its_old_content():
    """The new is in, or it has no row, or it could not be read and the old stands; a third content is none of them."""
    seen = listed(a="2", b="1")
    for after in ({"a": ("2", 1), "b": ("1", 3)}, {"b": ("1", 3)}, {"a": ("1", 5), "b": ("1", 3)}):
        check_commit(BEFORE, ledger(after), seen, KEEP, NOBODY)
    with pytest.raises(RowsWouldLeaveError):
        check_commit(BEFORE, ledger({"a": ("3", 9), "b": ("1", 3)}), seen, KEEP, NOBODY)


@pytest.mark.parametrize("policy", ["keep", "drop"])
def test_too_many_sources_must_not_lose_all_rows_at_once(policy):
    """Vanished, rewritten into nothing, or by other settings: one more than the share is too many."""
    rules = EventPolicy(on_vanished=policy, max_vanished_share=0.5)
    before = ledger(dict.fromkeys("abcd", ("1", 1)) | {"empty": ("1", 0)}, rules)
    two = {"a": ("2", 0), "c": ("1", 1), "d": ("1", 1), "empty": ("1", 0)}
    check_commit(before, ledger(two, rules), listed(a="2", b="2", c="1", d="1"), rules, NOBODY)
    three = {"d": ("1", 1)}
    seen = listed(a="2", b="2", c="2", d="1")
    with pytest.raises(BreakerOpenError, match="3 of 4 known sources"):
        check_commit(before, ledger(three, rules), seen, rules, NOBODY)
    check_commit(before, ledger(three, rules), seen, rules, Decided(vanished=True))
    with pytest.raises(BreakerOpenError):
        check_commit(before, ledger(three, rules), seen, rules, Decided(rebuild=True))


def test_a_rebuild_may_let_the_junk_go_that_stood():
    """That is the way out: the sources are there, and the operator asked for the rows' vote."""
    rules = EventPolicy()
    before = ledger(dict.fromkeys("abcd", ("1", 1)), rules)
    seen = listed(a="1", b="1", c="1", d="1", good="1")
    check_commit(before, ledger({"good": ("1", 900)}, rules), seen, rules, Decided(rebuild=True))


states = st.dictionaries(st.sampled_from("abcd"), st.tuples(st.sampled_from("12"), st.integers(0, 3)), max_size=4)


@given(states, states, st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"), max_size=4), st.booleans())
def test_what_passes_lost_no_row_that_must_stay(old, new, seen, drop):
    """Whatever two ledgers and a listing say."""
    policy = DROP if drop else KEEP
    try:
        check_commit(ledger(old, policy), ledger(new, policy), listed(**seen), policy, NOBODY)
    except S3AssetsError:
        return
    for key, (etag, rows) in old.items():
        stays = key in new and new[key][0] == etag and new[key][1] >= rows
        assert stays or not rows or (key in seen and seen[key] != etag) or (key not in seen and drop)
