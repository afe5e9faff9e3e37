"""The decision for one hour: each kind of change, and that order and repetition make no difference."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.hour_file.keys import Hour
from s3_assets.hour_file.ledger import Held, Ledger, Quarantined, Segment
from s3_assets.hour_file.plan import RULES, RULES_SETTING, Change, Plan, Verdict, make_plan
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.hour_file.sources import SourceObject, in_order

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = Hour("e", "2021-09-01-07:00")
KEEP, DROP = EventPolicy(), EventPolicy(on_vanished="drop")


def source(name: str, etag: str = "1", size: int = 10, arrived: datetime | None = None) -> SourceObject:
    """One in the hour."""
    return SourceObject(f"e/2021-09-01/07_00_{name}.csv", etag, size, arrived)


def ledger(
    held: list[SourceObject],
    bad: Sequence[SourceObject] = (),
    *,
    alone: bool = True,
    policy: EventPolicy = KEEP,
    rules: str | None = RULES,
) -> Ledger:
    """Of an hour file that holds `held` and quarantined `bad`; the first version wrote no `rules`."""
    sources = tuple(Held(s.key, s.etag, s.size, None, 1, 2, None) for s in in_order(held))
    segments = (Segment(10, 5, 0, 2 * len(sources), 0, sources),) if sources else ()
    quarantined = tuple(Quarantined(s.key, s.etag, s.size, "reason", "detail", None, alone) for s in in_order(bad))
    settings = policy.row_settings() | ({} if rules is None else {RULES_SETTING: rules})
    return Ledger(HOUR.event, HOUR.label, None, (), segments, quarantined, settings, policy.content_token())


def changes(plan: Plan) -> dict[str, Change]:
    """Per name."""
    return {action.key.split("_")[2].removesuffix(".csv"): action.change for action in plan.actions}


def test_nothing_there_is_nothing_to_do():
    """No sources and no hour file."""
    plan = make_plan(HOUR, None, [], KEEP)
    assert (plan.verdict, plan.actions, plan.writes) == (Verdict.EMPTY, (), False)


def test_a_first_build_reads_all():
    """Each source is new, or late when it arrived after the hour."""
    late = HOUR.end + timedelta(days=3, hours=2, seconds=5)
    plan = make_plan(HOUR, None, [source("b", arrived=late), source("a", arrived=HOUR.start)], KEEP)
    assert (plan.verdict, plan.writes) == (Verdict.BUILD, True)
    assert changes(plan) == {"a": Change.NEW, "b": Change.LATE}
    assert [s.key for s in plan.read] == [source("a").key, source("b").key]
    assert plan.bytes_to_read == 20
    assert "3 d 2 h after its hour closed" in plan.actions[1].reason


@pytest.mark.parametrize("seconds, change", [(-1, Change.NEW), (0, Change.LATE)])
def test_an_hour_closes_at_its_end(seconds, change):
    """Its last second is in time."""
    plan = make_plan(HOUR, None, [source("a", arrived=HOUR.end + timedelta(seconds=seconds))], KEEP)
    assert plan.counts[change] == 1


def test_equal_sets_are_nothing_to_do():
    """Whatever the times say."""
    held = [source("a"), source("b")]
    seen = [source("b", arrived=datetime(2030, 1, 1, tzinfo=UTC)), source("a")]
    for policy in (KEEP, DROP):
        plan = make_plan(HOUR, ledger(held, policy=policy), seen, policy)
        assert (plan.verdict, plan.actions) == (Verdict.NOTHING, ())


def test_a_late_source_is_spliced_in():
    """What is held stays and is not read."""
    plan = make_plan(HOUR, ledger([source("a")]), [source("a"), source("b")], KEEP)
    assert plan.verdict is Verdict.SPLICE
    assert [s.key for s in plan.stay] == [source("a").key]
    assert [s.key for s in plan.read] == [source("b").key]


@pytest.mark.parametrize("changed", [source("a", etag="2"), source("a", size=11)])
def test_another_etag_or_size_is_rewritten(changed):
    """Equal time, equal size and another ETag is another content."""
    plan = make_plan(HOUR, ledger([source("a"), source("b")]), [changed, source("b")], KEEP)
    assert changes(plan) == {"a": Change.REWRITTEN}
    assert plan.read == (changed,)
    assert [s.key for s in plan.stay] == [source("b").key]


def test_vanished_sources_stay_under_keep():
    """Nothing is to be done, and the plan knows who can't be read again."""
    plan = make_plan(HOUR, ledger([source("a"), source("b")]), [source("b")], KEEP)
    assert plan.verdict is Verdict.NOTHING
    assert plan.vanished == {source("a").key}
    assert make_plan(HOUR, ledger([source("a")]), [], KEEP).verdict is Verdict.NOTHING


def test_vanished_sources_go_under_drop():
    """Up to the breaker's share."""
    plan = make_plan(HOUR, ledger([source("a"), source("b")], policy=DROP), [source("b")], DROP)
    assert plan.verdict is Verdict.SPLICE
    assert changes(plan) == {"a": Change.VANISHED}
    assert [s.key for s in plan.stay] == [source("b").key]
    assert not plan.vanished


@pytest.mark.parametrize(
    "share, gone, verdict",
    [
        (0.5, 2, Verdict.SPLICE),
        (0.5, 3, Verdict.BREAKER),
        (0.0, 1, Verdict.BREAKER),
        (1.0, 4, Verdict.REMOVE),
        (0.75, 3, Verdict.SPLICE),
        (0.9, 4, Verdict.BREAKER),
    ],
)
def test_the_breaker_opens_beyond_its_share(share, gone, verdict):
    """Of the held sources; exactly the share is let pass."""
    policy = dataclasses.replace(DROP, max_vanished_share=share)
    held = [source(name) for name in "abcd"]
    plan = make_plan(HOUR, ledger(held, policy=policy), held[gone:], policy)
    assert plan.verdict is verdict
    assert plan.writes == (verdict is not Verdict.BREAKER)
    accepted = make_plan(HOUR, ledger(held, policy=policy), held[gone:], policy, accept_vanished=True)
    assert accepted.verdict is (Verdict.REMOVE if gone == 4 else Verdict.SPLICE)


def test_the_breaker_holds_new_sources_back_too():
    """Nothing is written while it is open, whatever else is seen."""
    plan = make_plan(HOUR, ledger([source("a"), source("b")], policy=DROP), [source("c")], DROP)
    assert plan.verdict is Verdict.BREAKER


def test_an_unusable_source_is_not_read_again_until_it_changes():
    """As long as the reason lies in itself."""
    known = ledger([source("a")], [source("bad")])
    assert make_plan(HOUR, known, [source("a"), source("bad")], KEEP).verdict is Verdict.NOTHING
    late = make_plan(HOUR, known, [source("a"), source("bad"), source("c")], KEEP)
    assert changes(late) == {"c": Change.NEW}
    assert [bad.key for bad in late.unusable] == [source("bad").key]
    mended = make_plan(HOUR, known, [source("a"), source("bad", etag="2")], KEEP)
    assert changes(mended) == {"bad": Change.REWRITTEN}
    assert mended.unusable == ()


def test_a_source_that_did_not_fit_beside_others_is_looked_at_with_every_change():
    """And only then: alone it is no reason to write."""
    known = ledger([source("a")], [source("misfit")], alone=False)
    assert make_plan(HOUR, known, [source("a"), source("misfit")], KEEP).verdict is Verdict.NOTHING
    plan = make_plan(HOUR, known, [source("a"), source("misfit"), source("new")], KEEP)
    assert changes(plan) == {"new": Change.NEW, "misfit": Change.RECHECK}
    assert [s.key for s in plan.read] == [source("misfit").key, source("new").key]


def test_an_unusable_source_that_is_gone_is_forgotten():
    """Under keep as well; if nothing else was there the hour file goes."""
    plan = make_plan(HOUR, ledger([source("a")], [source("bad")]), [source("a")], KEEP)
    assert (plan.verdict, changes(plan)) == (Verdict.SPLICE, {"bad": Change.FORGET})
    assert make_plan(HOUR, ledger([], [source("bad")]), [], KEEP).verdict is Verdict.REMOVE


@pytest.mark.parametrize("policy", [EventPolicy(header=False), EventPolicy(on_schema_change="quarantine")])
def test_other_settings_read_all_again(policy):
    """What shapes rows; vanished sources stay."""
    plan = make_plan(HOUR, ledger([source("a"), source("gone")], [source("bad")]), [source("a"), source("bad")], policy)
    assert plan.verdict is Verdict.BUILD
    assert changes(plan) == {"a": Change.REREAD, "bad": Change.REREAD}
    assert "settings changed" in plan.reason
    assert plan.vanished == {source("gone").key}


def test_compression_and_breaker_are_no_reason_to_build():
    """They change no rows; they hold for the next write."""
    policy = EventPolicy(compression="fast", max_vanished_share=0.1)
    assert make_plan(HOUR, ledger([source("a")]), [source("a")], policy).verdict is Verdict.NOTHING


def test_a_rebuild_reads_all_that_is_there():
    """And carries over what is not."""
    plan = make_plan(HOUR, ledger([source("a"), source("gone")]), [source("a")], KEEP, rebuild=True)
    assert plan.verdict is Verdict.BUILD
    assert [s.key for s in plan.read] == [source("a").key]
    assert [s.key for s in plan.stay] == [source("gone").key]


names = st.sampled_from("abcdef")
seen_sets = st.dictionaries(names, st.sampled_from("12"), max_size=6).map(
    lambda drawn: [source(name, etag) for name, etag in drawn.items()]
)


@given(seen_sets, seen_sets, st.sets(names), st.booleans(), st.sampled_from([KEEP, DROP]), st.randoms())
def test_a_plan_accounts_for_every_source_whatever_the_order(known, seen, bad_names, alone, policy, chance):
    """Each listed source stays, is read or stays out, once; nothing else is read; the order does not show."""
    bad = [s for s in known if s.key.split("_")[2][0] in bad_names]
    held = [s for s in known if s not in bad]
    before = ledger(held, bad, alone=alone, policy=policy)
    plan = make_plan(HOUR, before, seen, policy)
    turned = list(seen)
    chance.shuffle(turned)
    assert make_plan(HOUR, before, turned, policy) == plan
    parts = [{s.key for s in group} for group in (plan.stay, plan.read, plan.unusable)]
    listed = {s.key for s in seen}
    assert sum(map(len, parts)) == len(set.union(*parts))
    lost = {s.key for s in bad} - listed if policy is KEEP and not alone else set()
    assert set.union(*parts) - plan.vanished - lost == listed
    assert lost <= parts[2]
    assert plan.vanished == ({s.key for s in held} - listed if policy is KEEP else set())
    assert (plan.verdict is Verdict.NOTHING) == (not plan.actions and bool(before.rows))
    if plan.verdict in (Verdict.BUILD, Verdict.SPLICE):
        carried = [SourceObject(s.key, s.etag, s.size) for s in plan.stay]
        out = [s for s in [*seen, *bad] if s.key in parts[2]]
        after = ledger([*carried, *plan.read], out, alone=alone, policy=policy)
        settled = make_plan(HOUR, after, seen, policy)
        assert settled.verdict is (Verdict.NOTHING if after.rows else Verdict.REMOVE)


def test_a_source_that_was_left_out_beside_others_is_not_forgotten_when_it_goes():
    """Its rows could have stood: that they are gone for good stays to be seen, until they are given up."""
    before = ledger([source("a")], [source("odd")], alone=False)
    plan = make_plan(HOUR, before, [source("a")], KEEP)
    assert (plan.verdict, plan.unusable) == (Verdict.NOTHING, before.quarantined)
    assert make_plan(HOUR, before, [source("a")], KEEP, rebuild=True).unusable == before.quarantined
    given_up = make_plan(HOUR, before, [source("a")], KEEP, rebuild=True, accept_lost_rows=True)
    assert changes(given_up)["odd"] is Change.FORGET
    dropping = ledger([source("a")], [source("odd")], alone=False, policy=DROP)
    assert changes(make_plan(HOUR, dropping, [source("a")], DROP)) == {"odd": Change.FORGET}


@pytest.mark.parametrize("alone", [True, False])
def test_what_the_first_rules_refused_is_read_once_more(alone):
    """What they left out because of its neighbours is decided anew, with these; then it rests like any other."""
    old = ledger([source("a")], [source("bad")], alone=alone, rules=None)
    plan = make_plan(HOUR, old, [source("a"), source("bad")], KEEP)
    both = {"a": Change.REREAD, "bad": Change.REREAD}
    assert changes(plan) == ({"bad": Change.RECHECK} if alone else both)
    assert (plan.anew, plan.migrates) == (False, not alone)
    now = ledger([source("a")], [source("bad")], alone=alone)
    assert make_plan(HOUR, now, [source("a"), source("bad")], KEEP).verdict is Verdict.NOTHING
    assert make_plan(HOUR, ledger([source("a")], rules=None), [source("a")], KEEP).verdict is Verdict.NOTHING


def test_the_header_is_decided_anew_only_when_an_operator_says_so():
    """By a rebuild, or by other settings."""
    known = ledger([source("a")])
    seen = [source("a"), source("b")]
    assert not make_plan(HOUR, known, seen, KEEP).anew
    assert make_plan(HOUR, known, seen, KEEP, rebuild=True).anew
    assert make_plan(HOUR, known, seen, EventPolicy(columns=("id",))).anew
    assert not make_plan(HOUR, known, seen, EventPolicy(max_vanished_share=0.1, compression="fast")).anew


def test_a_setting_that_came_later_is_no_change_until_it_is_set():
    """Hour files of before name it nowhere; set back to its default, it is a change again."""
    pinned = EventPolicy(columns=("id",))
    known = ledger([source("a")], policy=pinned)
    assert make_plan(HOUR, known, [source("a")], pinned).verdict is Verdict.NOTHING
    back = make_plan(HOUR, known, [source("a")], KEEP)
    assert (back.verdict, "columns" in back.reason) == (Verdict.BUILD, True)


@pytest.mark.parametrize("policy", [KEEP, DROP])
def test_sources_that_are_emptied_at_once_open_the_breaker(policy):
    """Overwritten with 0 bytes they would take all rows along, whatever becomes of vanished ones."""
    known = ledger([source("a"), source("b")])
    emptied = [source(name, etag="2", size=0) for name in "ab"]
    assert make_plan(HOUR, known, emptied, policy).verdict is Verdict.BREAKER
    assert make_plan(HOUR, known, emptied, policy, accept_vanished=True).verdict is Verdict.SPLICE
    assert make_plan(HOUR, known, [source("a"), emptied[1]], policy).verdict is Verdict.SPLICE


def test_an_hour_of_empty_objects_has_no_hour_file():
    """Nothing has to be read to know it; one that is there without a row goes."""
    seen = [source("a", size=0), source("b", size=0)]
    assert make_plan(HOUR, None, seen, KEEP).verdict is Verdict.EMPTY
    rowless = ledger([source("a", size=0)])
    rowless = dataclasses.replace(
        rowless, segments=(), quarantined=(Quarantined(source("a").key, "1", 0, "old", "old", None, alone=True),)
    )
    assert make_plan(HOUR, rowless, [source("a", size=0)], KEEP).verdict is Verdict.REMOVE
