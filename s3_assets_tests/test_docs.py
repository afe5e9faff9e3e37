"""What the documents say of this project is so: their links lead somewhere, and what is generated is up to date.

Their commands are run by `docs_run`; those of docs/questions.md by `cli/test_questions`, which compares their output.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from s3_assets.cli.document import document
from s3_assets_tests.docs_run.documents import DOCUMENTS, ROOT

if TYPE_CHECKING:
    from pathlib import Path

IDS = [str(path.relative_to(ROOT)) for path in DOCUMENTS]

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")).replace(" ", "-")
        for heading in _HEADING.findall(text)
    }


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_links_lead_somewhere(path: Path) -> None:
    """Files of the project and headings in them; the web is not asked."""
    broken = []
    for link in _LINK.findall(path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file.read_text())):
            broken.append(link)
    assert broken == []


def test_the_command_line_is_documented_as_it_is() -> None:
    """`python -m s3_assets.cli.document > docs/cli.md` writes it."""
    assert (ROOT / "docs" / "cli.md").read_text() == document()


def test_every_document_is_found_from_the_readme() -> None:
    """Each is linked there."""
    linked = {link.partition("#")[0] for link in _LINK.findall((ROOT / "README.md").read_text())}
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} - linked == set()
