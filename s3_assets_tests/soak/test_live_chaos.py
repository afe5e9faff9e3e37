"""A live deployment that is maltreated while files arrive; let be, it has every file in its hour file."""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime, timedelta

import pytest

from s3_assets_tests.soak.chaos import FAULTS, maltreat
from s3_assets_tests.soak.living import Living


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.xdist_group("live")
def test_what_is_killed_and_wiped_costs_time_only(scale, drawn_from, tmp_path, record_property):
    """No row is lost or doubled, and no hour file is written without a change of its sources."""
    start = datetime.now(UTC) - timedelta(days=70)
    with Living(tmp_path, start.strftime("%Y-%m-%d")) as living:
        found = maltreat(
            living, arrivals=scale.chaos_s // 2, seconds=scale.chaos_s, chance=random.Random(drawn_from), say=_say
        )
    line = f"seed {drawn_from}: {found}"
    record_property("ran", line)
    _say(line)
    assert found["wrong"] == 0
    assert found["changed_after_settling"] == 0
    assert found["needless"] == 0
    killed = {"killed a run", *(f"killed the {what}" for what in FAULTS[1:])}
    assert set(found["done"]) == {"wiped the cursor", "wiped the instance", *killed}


def _say(words: str) -> None:
    sys.stdout.write(f"{datetime.now(UTC):%H:%M:%S} {words}\n")
