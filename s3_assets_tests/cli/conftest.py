"""Calling the command as a person does, in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from s3_assets.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command; its exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    return run
