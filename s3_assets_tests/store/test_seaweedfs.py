"""The embedded server starts by itself, keeps its data, and never outlives us."""

from __future__ import annotations

from s3_assets.demo.seaweedfs import (
    EmbeddedS3,
    free_port_pairs,
    http_answers,
)
from s3_assets.store.s3 import S3Store


def test_keeps_data_over_a_restart(tmp_path, monkeypatch) -> None:
    """Also on other ports; the environment it gives is all that a store needs."""
    server = EmbeddedS3(tmp_path)
    with server:
        server.create_bucket("bucket-1")
        server.create_bucket("bucket-1")
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        S3Store("bucket-1").put("a", b"kept")
    assert not http_answers(server.endpoint_url)
    again = EmbeddedS3(tmp_path)
    assert (again.access_key, again.secret_key) == (server.access_key, server.secret_key)
    again._state["ports"] = {}
    with again:
        monkeypatch.setenv("AWS_ENDPOINT_URL", again.endpoint_url)
        assert S3Store("bucket-1").get("a").read() == b"kept"
        versioning = again.client().get_bucket_versioning(Bucket="bucket-1")
        assert versioning["Status"] == "Enabled"


def test_ports_have_twins() -> None:
    """Which are ports too."""
    ports = free_port_pairs(5)
    assert len(set(ports)) == 5
    assert all(1024 < port < port + 10_000 < 32_768 for port in ports)
