"""Bodies of messages: every shape and encoding is read, and nothing that a body holds raises or takes long."""

from __future__ import annotations

import itertools
import json
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3_assets.hints.hours import hours_named
from s3_assets.hints.messages import MAX_BODY_BYTES, MAX_KEY_BYTES, NamedObject, Reading, read_message
from s3_assets_tests.hints.shapes import BUCKET, ENCODINGS, TEST_EVENT, WATCHED, direct, eventbridge, record, sns

SHAPES = {
    "direct": direct,
    "direct, in SNS": lambda key: sns(direct(key)),
    "EventBridge": eventbridge,
    "EventBridge, in SNS": lambda key: sns(eventbridge(key)),
    "in SNS, in SNS": lambda key: sns(sns(direct(key))),
}
ODD_KEYS = [
    "source/a/2021-09-01/07_00_x.csv",
    "source/a b/2021-09-01/07_00_ .csv",
    "source/a+b/2021-09-01/07_00_+.csv",
    "source/50%/2021-09-01/07_00_%2B.csv",
    "source/%2F%20/2021-09-01/07_00_%.csv",
    "source/고객_이벤트/2021-09-01/07_00_é😀.csv",
    "source/a|b/2021-09-01/07_00_\"q'<&>\n\t.csv",
    "+",
    "%",
    "%zz",
    "%ff",
    " ",
]
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.sampled_from(ODD_KEYS)
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)
WORDS = st.sampled_from(
    [
        *("Records", "s3", "bucket", "name", "object", "key"),
        *("detail", "detail-type", "Type", "Notification", "Message"),
        *("Event", "s3:TestEvent", "SubscriptionConfirmation", "source/a/2021-09-01/07_00_x.csv"),
    ]
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | ANY_TEXT, inner, max_size=5),
    max_leaves=25,
)


def reasons(body: str | bytes) -> list[str]:
    """Why `body` names nothing; it must name nothing."""
    reading = read_message(body)
    assert reading.objects == ()
    return list(reading.unreadable)


@given(KEYS)
def test_a_key_survives_every_encoding_in_every_shape(key):
    """It is one of the readings, in its bucket, and each of those is a key that can be."""
    for encoding, shape in itertools.product(ENCODINGS, SHAPES):
        written = ENCODINGS[encoding](key)
        reading = read_message(SHAPES[shape](written))
        (named,) = reading.objects
        assert named.bucket == BUCKET
        assert key in named.keys, (encoding, shape)
        assert written in named.keys
        assert len(named.keys) == len(set(named.keys)) <= 3
        assert all(0 < len(each.encode()) <= MAX_KEY_BYTES for each in named.keys)
        assert not reading.unreadable


@pytest.mark.parametrize("character", ["a", " ", "%", "클", "😀"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_longest_key_survives(encoding, character):
    """1,024 bytes are three times as many characters at most once encoded; one byte more is no key."""
    key = character * (MAX_KEY_BYTES // len(character.encode()))
    (named,) = read_message(direct(ENCODINGS[encoding](key))).objects
    assert key in named.keys
    too_long = key + "aaaa"
    assert all(too_long not in each.keys for each in read_message(direct(ENCODINGS[encoding](too_long))).objects)


def test_a_plain_key_has_one_reading():
    """So what most messages say costs one look."""
    assert read_message(direct("source/a/b.csv")).objects == (NamedObject("raw", ("source/a/b.csv",)),)


def test_the_likeliest_reading_is_first():
    """S3 encodes, EventBridge doesn't."""
    assert read_message(direct("a+b%2Bc")).objects[0].keys == ("a b+c", "a+b+c", "a+b%2Bc")
    assert read_message(eventbridge("a+b%2Bc")).objects[0].keys == ("a+b%2Bc", "a b+c", "a+b+c")


def test_a_message_may_hold_many_records():
    """Each counts, in order; those that name nothing are counted, and cost the others nothing."""
    body = json.dumps({"Records": [record("a"), None, record("b", bucket="other"), {"s3": {"bucket": 3}}, record("")]})
    reading = read_message(body)
    assert [(named.bucket, named.keys[0]) for named in reading.objects] == [("raw", "a"), ("other", "b")]
    assert reading.unreadable == {"names no object": 2, "names a key that can't be": 1}


@pytest.mark.parametrize(
    "event",
    [
        "ObjectCreated:CompleteMultipartUpload",
        "ObjectRemoved:DeleteMarkerCreated",
        "ObjectRestore:Completed",
        "LifecycleExpiration:Delete",
        "ObjectTagging:Put",
        "something else",
    ],
)
def test_every_kind_of_event_says_look_here(event):
    """What happened is not asked."""
    body = json.dumps({"Records": [record("a", event=event)]})
    assert read_message(body).objects == (NamedObject("raw", ("a",)),)
    assert read_message(eventbridge("a", kind=event)).objects == (NamedObject("raw", ("a",)),)


@pytest.mark.parametrize("body", [TEST_EVENT, sns(TEST_EVENT)])
def test_the_test_event_names_nothing_and_is_no_garbage(body):
    """S3 sends it when notifications are set up."""
    assert read_message(body) == Reading()


@pytest.mark.parametrize(
    "body, reason",
    [
        ("", "not JSON"),
        ("hello", "not JSON"),
        ('{"Records": [', "not JSON"),
        ("9" * 100_000, "not JSON"),
        (b"\xff\xfe{}", "not UTF-8"),
        ('{"a":1}'.encode("utf-16"), "not UTF-8"),
        ("null", "not a notification of S3"),
        ("[]", "not a notification of S3"),
        ("{}", "not a notification of S3"),
        ('{"Records": []}', "not a notification of S3"),
        ('{"Records": {"a": 1}}', "not a notification of S3"),
        ('{"detail": "x", "detail-type": "Object Created"}', "not a notification of S3"),
        ('{"detail": {}}', "names no object"),
        ('{"Records": [{"s3": {"bucket": {"name": "raw"}, "object": {"key": 7}}}]}', "names no object"),
        ('{"Records": [{"s3": {"bucket": {"name": ["raw"]}, "object": {"key": "a"}}}]}', "names no object"),
        ('{"Type": "SubscriptionConfirmation"}', "an SNS subscription that waits to be confirmed"),
        ('{"Type": "Notification", "Message": {"Records": []}}', "not a notification of S3"),
        (sns("{"), "not JSON"),
        (sns(sns(sns(sns(direct("a"))))), "not a notification of S3"),
        (direct("\ud800"), "names a key that can't be"),
        (direct("a" * 4000), "names a key that can't be"),
        (direct("클" * 400), "names a key that can't be"),
        (json.dumps({"Records": [1] * 10_001}), "more records than a message can hold"),
        ("[" * 200_000, "nested too deeply"),
        ('{"Records":' * 20_000, "nested too deeply"),
        (" " * (MAX_BODY_BYTES + 1), "longer than a message can be"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_garbage_is_known_as_such(body, reason):
    """It names nothing, and the reason holds nothing of it."""
    assert reasons(body) == [reason]


@given(ANY_TEXT | st.binary(max_size=60))
def test_any_text_and_any_bytes_are_read(body):
    """There is an answer, and a reason for what is no notification."""
    assert reasons(body)


@given(ANY_JSON)
@example({"Records": [{"s3": {"bucket": {"name": "\ud800"}, "object": {"key": "a"}}}]})
def test_any_json_is_read(document):
    """Also in the envelope of SNS, and as EventBridge's detail or S3's record."""
    text = json.dumps(document)
    for body in (text, sns(text), json.dumps({"detail": document}), json.dumps({"Records": [{"s3": document}]})):
        reading = read_message(body)
        assert all(isinstance(key, str) and key.encode() for named in reading.objects for key in named.keys)


@pytest.mark.parametrize(
    "body",
    [
        "%" * 262_144,
        direct("%2" * 100_000),
        direct(*["source/" + "%2B+" * 250] * 1_000),
        direct("+" * 262_000),
        json.dumps({"Records": [1] * 100_000}),
        json.dumps({"Records": [1] * 10_000}),
        json.dumps({"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "%EA+" * 700}}}] * 60}),
        json.dumps({"Message": "x" * 262_000, "Type": "Notification"}),
        '{"a":' * 400 + "1" + "}" * 400,
    ],
    ids=lambda body: body[:20],
)
def test_a_message_of_nonsense_takes_no_time(body):
    """Whatever a message holds, it is read in much less time than it took to send."""
    began = time.process_time()
    hours_named(body, WATCHED, message_id="m")
    assert time.process_time() - began < 1
