"""Hours on a real server, ready to be built: from nothing, late, rewritten, to be removed, and large."""

from __future__ import annotations

import gzip
import random
import uuid
from base64 import b85encode
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from s3_assets.builder.build import build_hour
from s3_assets.hour_file.keys import Hour
from s3_assets_tests.soak.child import site_on

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3_assets.builder.pipeline import Workers
    from s3_assets.hour_file.plan import Verdict
    from s3_assets.store.s3 import S3Store
    from s3_assets_tests.servers import Server
    from s3_assets_tests.soak.child import Site

HOUR = Hour("orders", "2021-09-01-07:00")
TOP = b"n,x\n"
MB = 1_000_000


def rows(first: int, count: int = 3) -> bytes:
    """So many rows that no other call gives."""
    return b"".join(b"%d,row\n" % number for number in range(first, first + count))


def hard_to_pack(megabytes: float, seed: int) -> bytes:
    """Rows that hardly get smaller."""
    text = b85encode(random.Random(seed).randbytes(int(megabytes * MB * 0.8))).replace(b",", b"~").replace(b'"', b"'")
    return b"".join(b"%d,%b\n" % (seed * MB * 100 + at, text[at : at + 90]) for at in range(0, len(text), 90))


@dataclass(frozen=True)
class Case:
    """An hour before and after a build.

    Attributes:
        name: What it is.
        before: Rows per name in the hour file that stands; empty where there is none.
        after: The same, as the source has it now.
        on_vanished: The policy's.
        options: Of the site.
    """

    name: str
    before: Mapping[str, bytes]
    after: Mapping[str, bytes]
    on_vanished: str = "keep"
    options: Mapping[str, int] = field(default_factory=dict)


_OLD = {"07_10_b.csv": rows(10), "07_20_c.csv": rows(20), "07_30_d.csv": rows(30)}
_NEW = {"07_00_a.csv": rows(0), **_OLD, "07_20_c.csv": rows(25), "07_40_e.csv": rows(40)}
_MANY = {f"07_{minute}_g.csv": rows(minute * 10) for minute in range(10, 22)}
_PACKED = {f"07_{minute}_f.csv": hard_to_pack(0.002, minute) for minute in (10, 20, 30)}
SMALL = (
    Case("create", {}, _OLD),
    Case("splice", _OLD, _NEW),
    Case("remove", _OLD, {}, on_vanished="drop"),
    Case("rebuild", _MANY, _MANY, options={"rebuild": True}),
)
PARTS = Case("parts", _PACKED, _PACKED | {"07_25_e.csv": rows(40)}, options={"put_bytes": 1000, "part_bytes": 500})
"""Large in the number of its parts only, for servers that take parts below 5 MiB."""


def large() -> Case:
    """An hour file of 27 MB and a late source in its middle."""
    big = {f"07_{minute}_big.csv": hard_to_pack(5.4, minute) for minute in (10, 20, 30, 40, 50)}
    return Case("large", big, big | {"07_25_late.csv": rows(1)})


class Stage:
    """A case on a server, set up anew for each build at the cost of a few requests.

    Attributes:
        case: Which.
        store: The bucket.
    """

    def __init__(self, server: Server, case: Case, workers: Workers) -> None:
        """Build the hour file that stands before."""
        self.case = case
        self._server = server
        self._workers = workers
        self._bucket = server.new_bucket()
        self._shared = f"{uuid.uuid4().hex}/source/"
        self.site = self._new_site()
        self.store: S3Store = self.site.store()
        self._put(case.before)
        self._standing = None
        if case.before:
            self.build(self.site)
            self._standing = self.target_key(self.site)
        for name in case.before.keys() - case.after.keys():
            self.store.delete(self._source(name))
        self._put({name: data for name, data in case.after.items() if case.before.get(name) != data})

    def set_up(self) -> Site:
        """A place whose target is as before, over the same sources."""
        site = self._new_site()
        if self._standing is not None:
            source = {"Bucket": self._bucket, "Key": self._standing}
            client = self._server.client()
            client.copy_object(Bucket=self._bucket, Key=self.target_key(site), CopySource=source)
        return site

    def build(self, site: Site) -> Verdict:
        """Make the hour right, in this process."""
        lasting = replace(site, put_bytes=None, part_bytes=None)
        return build_hour(lasting.pipeline(self._workers, self.store), site.the_hour).plan.verdict

    def target_key(self, site: Site) -> str:
        """Of the hour file."""
        return f"{site.target_prefix}{HOUR.event}/{HOUR.date}/{HOUR.label[11:13]}.csv.gz"

    def text(self, site: Site) -> bytes | None:
        """The hour file, decompressed; None where there is none."""
        key = self.target_key(site)
        return None if self.store.head(key) is None else gzip.decompress(self.store.get(key).read())

    @property
    def expected(self) -> bytes | None:
        """What it must be in the end."""
        after = self.case.after
        return TOP + b"".join(after[name] for name in sorted(after)) if after else None

    def _new_site(self) -> Site:
        options = {**self.case.options, "on_vanished": self.case.on_vanished, "source_prefix": self._shared}
        return site_on(self._server, self._bucket, HOUR, uuid.uuid4().hex, **options)

    def _source(self, name: str) -> str:
        return f"{self._shared}{HOUR.event}/{HOUR.date}/{name}"

    def _put(self, sources: Mapping[str, bytes]) -> None:
        for name, data in sources.items():
            self.store.put(self._source(name), TOP + data, content_type="text/csv")
