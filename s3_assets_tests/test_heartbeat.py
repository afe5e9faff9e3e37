"""Heartbeats: what the watcher is told, and that a watcher that is away, broken or slow costs a line and a second."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from s3_assets import heartbeat
from s3_assets.heartbeat import BODY_BYTES, PATIENCE_S, Heartbeat, beating
from s3_assets_tests.watcher import PROXIES, SECRET, Told, Watcher

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def watcher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watcher]:
    """On loopback; it is waited for, however busy this machine is."""
    monkeypatch.setattr(heartbeat, "PATIENCE_S", 60)
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    with Watcher() as made:
        yield made


def test_what_goes_well_is_told_at_its_beginning_and_at_its_end(watcher):
    """By POST, with a few words at the end."""
    lines: list[str] = []
    with beating(watcher.url, lines.append) as heart:
        assert watcher.told == [Told("POST", "/start", "")]
        heart.words = "12 hours, none differs"
    assert watcher.told[1:] == [Told("POST", "", "12 hours, none differs")]
    assert lines == []


@pytest.mark.parametrize("raised", [ValueError("it broke"), KeyboardInterrupt("it broke")])
def test_what_fails_is_told_with_its_words_and_raises_as_it_did(watcher, raised):
    """Also an interruption."""
    with pytest.raises(type(raised), match="it broke"), beating(watcher.url, pytest.fail):
        raise raised
    assert watcher.told[1:] == [Told("POST", "/fail", f"{type(raised).__name__}: it broke")]


def test_without_a_url_nobody_is_told():
    """And nothing is waited for."""
    with beating(None, pytest.fail) as heart:
        heart.words = "x"


def test_a_heart_that_is_quiet_tells_no_end(watcher):
    """What is tried again has not failed."""

    def fail_quietly():
        with beating(watcher.url, pytest.fail) as heart:
            heart.quiet = True
            raise OSError("again")

    with pytest.raises(OSError, match="again"):
        fail_quietly()
    assert watcher.words == ["/start"]


def test_a_body_is_short_and_holds_no_secret(watcher):
    """Whatever an error quotes."""
    heart = Heartbeat(watcher.url, pytest.fail)
    heart.tell("", "AKIAIOSFODNN7EXAMPLE password=hunter2 " + "긴" * 5000)
    body = watcher.told[0].body
    assert len(body.encode()) <= BODY_BYTES
    assert "AKIA" not in body
    assert "hunter2" not in body


@pytest.mark.parametrize(
    "answer, says",
    [
        ("fails", "HTTP 500"),
        ("drops", "RemoteDisconnected"),
        ("hangs", ""),
        ("drips", ""),
    ],
)
def test_a_watcher_that_is_broken_costs_a_line_and_no_more_than_its_patience(watcher, monkeypatch, answer, says):
    """It is no error; the line names no part of the URL. A drip never times out for a socket."""
    if answer in ("hangs", "drips"):
        monkeypatch.setattr(heartbeat, "PATIENCE_S", 0.3)
    watcher.answer, lines = answer, []
    began = time.monotonic()
    with beating(watcher.url, lines.append):
        pass
    assert time.monotonic() - began < 30  # two of 0.3 s, on a machine with much else to do; the watcher hangs for 60
    assert [line.partition(" did not")[0] for line in lines] == ["the heartbeat 'start'", "the heartbeat 'done'"]
    assert all(says in line for line in lines)
    assert not any(SECRET in line or "127.0.0.1" in line for line in lines)


def test_a_name_that_takes_for_ever_to_look_up_costs_no_more(monkeypatch):
    """A resolver knows no timeout of ours."""
    hangs = threading.Event()
    monkeypatch.setattr(heartbeat, "PATIENCE_S", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [hangs.wait(60)][1:])
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    lines: list[str] = []
    began = time.monotonic()
    Heartbeat(f"https://hc.example.com/{SECRET}", lines.append).tell("/start")
    assert time.monotonic() - began < 30
    hangs.set()
    assert lines == ["the heartbeat 'start' did not get through: no answer within 0.2 s"]


def test_nobody_there_is_a_line(monkeypatch):
    """A port on which nothing listens."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    lines: list[str] = []
    Heartbeat(f"http://127.0.0.1:1/{SECRET}", lines.append).tell("/fail", "x")
    assert lines == ["the heartbeat 'fail' did not get through: ConnectionRefusedError: Connection refused"]


def test_two_words_of_a_tick_take_two_seconds_at_most():
    """What is promised."""
    assert 2 * PATIENCE_S <= 2
