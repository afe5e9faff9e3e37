"""The file and the HTTP endpoint: what readers get, and what becomes of trouble."""

from __future__ import annotations

import os
import socket
import urllib.request
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from s3_assets.metrics.file import write_whole
from s3_assets.metrics.publish import Publisher
from s3_assets.settings import MetricsSettings
from s3_assets.settings.values import ListenAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

ODD = 'pay "x"\\\n결제'
TICKS, BEHIND = "s3_assets_ticks_total", "s3_assets_hours_behind"


def parsed(text: bytes) -> dict[tuple[str, ...], float]:
    """Each sample's value, by its name and its labels' values in order of their names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    """One of its own."""
    made = Publisher()
    yield made
    made.close()


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """A port that somebody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other


def test_every_sensors_values_are_in_the_file_and_served(publisher, tmp_path, taken):
    """The last of each sensor, with the kinds of the table, whatever an event is called."""
    port = taken.getsockname()[1]
    taken.close()
    path = tmp_path / "a.prom"
    settings = MetricsSettings(path, ListenAddress("127.0.0.1", port))
    assert publisher.publish(settings, "a", ("", ""), {(TICKS, ("ok",)): 1, (BEHIND, (ODD,)): 7}) == []
    assert publisher.publish(settings, "b", ("orders", "web"), {(TICKS, ("ok",)): 3}) == []
    assert publisher.publish(settings, "a", ("", ""), {(TICKS, ("ok",)): 2, (BEHIND, (ODD,)): 7}) == []
    expected = {(TICKS, "", "", "ok"): 2, (TICKS, "web", "orders", "ok"): 3, (BEHIND, ODD, "", ""): 7}
    text = path.read_bytes()
    assert parsed(text) == expected
    assert b"\n# TYPE s3_assets_ticks_total counter\n" in text
    assert b"\n# TYPE s3_assets_hours_behind gauge\n" in text
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        assert parsed(answer.read()) == expected


def test_a_reader_of_the_file_never_sees_half(tmp_path):
    """One who reads while it is written gets all of what was there; nothing is left beside it."""
    path = tmp_path / "a.prom"
    old, new = b"old\n" * 50_000, b"new\n" * 10
    write_whole(path, old)
    with path.open("rb", buffering=0) as reader:
        half = reader.read(1000)
        write_whole(path, new)
        assert half + reader.read() == old
    assert path.read_bytes() == new
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.prom"]


def test_node_exporter_may_read_it(tmp_path):
    """It is another user, whatever the umask."""
    before = os.umask(0o077)
    try:
        write_whole(tmp_path / "a.prom", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "a.prom").stat().st_mode & 0o777 == 0o644


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    """And nothing beside it."""
    path = tmp_path / "a.prom"
    write_whole(path, b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("a.prom", b"old")]


def test_trouble_is_told_once_and_again_after_it_was_over(publisher, tmp_path):
    """Each tick tries again."""
    settings = MetricsSettings(tmp_path / "no" / "a.prom")
    tell = [publisher.publish(settings, "a", ("", ""), {(TICKS, ("ok",)): 1}) for _ in range(2)]
    path = settings.metrics_file
    assert tell == [[f"no metrics are written to {path}: No such file or directory; each tick tries again"], []]
    path.parent.mkdir()
    assert publisher.publish(settings, "a", ("", ""), {(TICKS, ("ok",)): 1}) == []
    assert parsed(path.read_bytes()) == {(TICKS, "", "", "ok"): 1}
    path.unlink()
    path.parent.rmdir()
    assert len(publisher.publish(settings, "a", ("", ""), {(TICKS, ("ok",)): 1})) == 1


def test_a_port_in_use_is_told_once_and_taken_when_it_is_free(publisher, tmp_path, taken):
    """The file is written all the same."""
    address = ListenAddress("127.0.0.1", taken.getsockname()[1])
    settings = MetricsSettings(tmp_path / "a.prom", address)
    tell = [publisher.publish(settings, "a", ("", ""), {(TICKS, ("ok",)): 1}) for _ in range(2)]
    assert tell == [[f"no metrics are served at {address}: Address already in use; each tick tries again"], []]
    assert parsed((tmp_path / "a.prom").read_bytes()) == {(TICKS, "", "", "ok"): 1}
    taken.close()
    assert publisher.publish(settings, "a", ("", ""), {(TICKS, ("ok",)): 1}) == []
    socket.create_connection((address.host, address.port), timeout=60).close()
