"""Whether an hour is to be made right: by its sources, what was recorded, and whether its file is there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.hour_file.changes import DataVersion, data_version, differs, empty_fingerprint, read_data_version
from s3_assets.hour_file.policy import EventPolicy

KEEP, DROP = EventPolicy(on_vanished="keep"), EventPolicy(on_vanished="drop")
A, B = "a" * 32, "b" * 32
EMPTY = "on record as empty"


@given(
    fingerprint=st.text("0123456789abcdef", min_size=32, max_size=32),
    left_out=st.integers(0, 10**6),
    has_file=st.booleans(),
)
def test_a_data_version_holds_all(fingerprint: str, left_out: int, has_file: bool) -> None:
    """Equal sources have equal versions; any other text is a version without quarantined ones."""
    version = data_version(fingerprint, left_out, has_file=has_file)
    assert read_data_version(version) == DataVersion(fingerprint, left_out, has_file)
    assert read_data_version("what another tool wrote") == DataVersion("what another tool wrote")


def test_what_the_first_rules_quarantined_is_looked_at_once_more() -> None:
    """Its sources are the same, and it may have been judged by its neighbours."""
    old = f"{A}-quarantined-3"
    assert read_data_version(old) == DataVersion(A, 3, is_current=False)
    assert differs(A, old, is_there=True, policy=KEEP)
    assert not differs(A, data_version(A, 3), is_there=True, policy=KEEP)


@pytest.mark.parametrize("policy", [KEEP, DROP])
def test_an_hour_without_a_row_has_no_file(policy: EventPolicy) -> None:
    """That it has none is as it should be, until its sources change or something is put there."""
    version = data_version(A, 1, has_file=False)
    for is_there in (None, False):
        assert not differs(A, version, is_there=is_there, policy=policy)
    assert differs(A, version, is_there=True, policy=policy)
    assert differs(B, version, is_there=False, policy=policy)


@pytest.mark.parametrize("policy", [KEEP, DROP])
@pytest.mark.parametrize(
    "listed, recorded, is_there, expected",
    [
        (A, None, None, True),  # never made
        (A, None, True, True),  # made by somebody else, or the instance is new: a look settles it
        (A, A, True, False),
        (A, A, None, False),  # nobody looked for the file
        (A, A, False, True),  # the file is gone
        (A, B, True, True),
        (A, data_version(A, 2), True, False),
        (A, data_version(B, 2), True, True),
        (None, None, None, False),
        (None, None, False, False),
        (None, EMPTY, False, False),
        (None, data_version(A, 1), True, True),  # its quarantined source went: the check must turn green
    ],
)
def test_under_either_policy(policy: EventPolicy, listed, recorded, is_there, expected) -> None:
    """New, late, rewritten and restored are one case."""
    recorded = empty_fingerprint(policy) if recorded is EMPTY else recorded
    assert differs(listed, recorded, is_there=is_there, policy=policy) is expected


def test_an_hour_whose_sources_all_went() -> None:
    """Its rows stay where vanished sources are kept; where they are dropped, the file goes."""
    for is_there in (True, None):
        assert not differs(None, A, is_there=is_there, policy=KEEP)
        assert differs(None, A, is_there=is_there, policy=DROP)
    assert not differs(None, None, is_there=True, policy=KEEP)
    assert differs(None, None, is_there=True, policy=DROP)
