"""A site over which README.md was followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from s3_assets.doctor import races
from s3_assets_tests.docs_run.documents import of_the_documents
from s3_assets_tests.docs_run.elsewhere import runs_here
from s3_assets_tests.docs_run.reader import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3_assets_tests.servers import Server


@pytest.fixture(scope="session")
def site(running: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Buckets, data, and what README.md's commands made of them; few races of a kind, as SeaweedFS takes its time."""
    made = Site(running("seaweedfs"), tmp_path_factory.mktemp("documents"))
    made.make()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(races, "WRITERS", 3)
        patch.setattr(races, "ROUNDS", 1)
        typed = [one for one in of_the_documents() if one.in_block and runs_here(one)]
        made.follow(
            [one for one in typed if one.document == "README.md"],
            [one for one in typed if one.document == "docs/backup.md" and one.program == "export"],
        )
        yield made
