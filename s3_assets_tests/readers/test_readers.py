"""Every reader that owners use gets all rows: of a file of many segments, with a large ledger behind the data."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import zlib

import duckdb
import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pyarrow.csv  # type: ignore[import-untyped]
import pytest
from isal import igzip, isal_zlib
from zlib_ng import gzip_ng

JAVA = """
import java.io.*;
import java.util.zip.GZIPInputStream;

public class Read {
    /** A stream that never says that more is at hand, as streams from the network do. */
    static class Distant extends FilterInputStream {
        Distant(InputStream in) { super(in); }
        @Override public int available() { return 0; }
    }

    public static void main(String[] args) throws IOException {
        InputStream file = new FileInputStream(args[0]);
        if (args[1].equals("distant")) file = new Distant(file);
        try (GZIPInputStream in = new GZIPInputStream(file)) { in.transferTo(System.out); }
        System.out.flush();
    }
}
"""

NODE_SYNC = "process.stdout.write(require('zlib').gunzipSync(require('fs').readFileSync(process.argv[1])))"
NODE_STREAM = (
    "require('fs').createReadStream(process.argv[1]).pipe(require('zlib').createGunzip()).pipe(process.stdout)"
)


def run(*command: str) -> bytes:
    """What a program prints; a message on its standard error is a failure too."""
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def needs(program: str) -> None:
    """Skip where a reader's own program is not on this machine."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on this machine")


def test_gzip_program(hour_file):
    """`gzip -dc` and `gzip -t`."""
    assert run("gzip", "-dc", str(hour_file.path)) == hour_file.text
    assert run("gzip", "-t", str(hour_file.path)) == b""


@pytest.mark.parametrize("module", [gzip, igzip, gzip_ng], ids=lambda module: module.__name__)
def test_gzip_modules(hour_file, module):
    """Python's gzip, python-isal's and python-zlib-ng's: whole and line by line."""
    assert module.decompress(hour_file.path.read_bytes()) == hour_file.text
    with module.open(hour_file.path) as file:
        assert sum(1 for _ in file) == hour_file.rows + 1


@pytest.mark.parametrize("module", [zlib, isal_zlib], ids=lambda module: module.__name__)
def test_one_shot_readers_that_stop_after_the_first_member(hour_file, module):
    """All rows are in it."""
    assert module.decompress(hour_file.path.read_bytes(), 31) == hour_file.text


def test_a_stream_reader_that_stops_after_the_first_member(hour_file):
    """As HTTP clients decode; what follows are empty members."""
    inflater = zlib.decompressobj(31)
    assert inflater.decompress(hour_file.path.read_bytes()) == hour_file.text
    rest = inflater.unused_data
    while rest:
        inflater = zlib.decompressobj(31)
        assert inflater.decompress(rest) == b""
        rest = inflater.unused_data


def test_pandas(hour_file):
    """By the name's suffix."""
    frame = pd.read_csv(hour_file.path)
    assert len(frame) == hour_file.rows
    assert list(frame.columns) == ["id", "name", "amount"]
    assert frame["amount"].iloc[-1] == float(hour_file.text.rsplit(b",", 1)[1])


def test_polars(hour_file):
    """Read and scanned."""
    assert pl.read_csv(hour_file.path).height == hour_file.rows
    assert pl.scan_csv(hour_file.path).select(pl.len()).collect().item() == hour_file.rows


def test_duckdb(hour_file):
    """Which refuses extra fields over 32 KiB."""
    with duckdb.connect() as connection:
        counts = connection.execute(f"select count(*) from read_csv('{hour_file.path}')").fetchall()
        late = connection.execute(f"select amount from read_csv('{hour_file.path}') where id = 9999").fetchall()
    assert (counts, late) == ([(hour_file.rows,)], [(1.25,)])


def test_pyarrow(hour_file):
    """By the name's suffix."""
    assert pyarrow.csv.read_csv(hour_file.path).num_rows == hour_file.rows


@pytest.mark.parametrize("script", [NODE_SYNC, NODE_STREAM], ids=["sync", "stream"])
def test_node(hour_file, script):
    """Node's zlib."""
    needs("node")
    assert run("node", "-e", script, str(hour_file.path)) == hour_file.text


@pytest.mark.parametrize("kind", ["near", "distant"])
def test_java(hour_file, tmp_path, kind):
    """GZIPInputStream, which over a stream without `available()` stops silently after the first member."""
    needs("java")
    source = tmp_path / "Read.java"
    source.write_text(JAVA, encoding="utf-8")
    assert run("java", "-XX:TieredStopAtLevel=1", str(source), str(hour_file.path), kind) == hour_file.text
