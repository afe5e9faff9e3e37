"""The environment as a whole: every variable's value, variables that there are not, and values that don't go together.

What the values are for is no business of this module: `hourly`, `backup` and `alerts` each take their own from what it
gives. All problems are reported together, in one `SettingsError`.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from s3_assets.errors import SettingsError
from s3_assets.settings.table import BY_NAME, SETTINGS, VARIABLE_PREFIX
from s3_assets.settings.toml_file import read_document
from s3_assets.settings.values import RefusedError, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from s3_assets.settings.table import Setting
    from s3_assets.settings.toml_file import Document
    from s3_assets.settings.values import Location


def read_all(
    environ: Mapping[str, str], read_file: Callable[[str], bytes] | None, required: Collection[str]
) -> tuple[dict[str, Any], Document]:
    """The value of every variable but the path of the file, and what is in the file.

    Args:
        environ: The environment. An empty value counts as not set.
        read_file: Gives the bytes at `S3_ASSETS_CONFIG`; None reads the file.
        required: The names of the rows that must be given.

    Raises:
        SettingsError: With every problem there is, a line each.
    """
    problems = [_unknown_variable(name) for name in sorted(environ) if _is_unknown(name)]
    values = {setting.name: read_value(setting, environ, problems, required) for setting in SETTINGS}
    problems += _overlap(values["source"], values["target"])
    problems += _backup_overlap(values["backup_target"], (values["source"], values["target"]))
    problems += no_channel(environ)
    document = read_document(values.pop("config"), read_file, problems)
    if problems:
        raise SettingsError(problems)
    return values, document


def _is_unknown(name: str) -> bool:
    return name.startswith(VARIABLE_PREFIX) and name not in {setting.variable for setting in SETTINGS}


def _unknown_variable(name: str) -> str:
    close = difflib.get_close_matches(name.removeprefix(VARIABLE_PREFIX).lower(), BY_NAME, n=1)
    known = ", ".join(setting.variable for setting in SETTINGS)
    hint = f"did you mean {BY_NAME[close[0]].variable}?" if close else f"the settings are {known}"
    return f"{shown(name)[1:-1]}: there is no such setting; {hint}"


def read_value(
    setting: Setting, environ: Mapping[str, str], problems: list[str], required: Collection[str] = ()
) -> Any:
    """The value of one variable, or its default; None where there is none, or where it is a problem.

    Args:
        setting: Its row.
        environ: The environment. An empty value counts as not set.
        problems: Gets the line that tells what is wrong.
        required: The names of the rows that must be given.
    """
    text = environ.get(setting.variable, "") or setting.default
    if text is None:
        if setting.name in required:
            problems.append(setting.problem("not set"))
        return None
    try:
        return setting.read(text)
    except RefusedError as error:
        problems.append(setting.problem(error))
        return None


def _overlap(source: Location | None, target: Location | None) -> list[str]:
    if source is None or target is None or not (source.holds(target) or target.holds(source)):
        return []
    relation = "the same as" if source == target else "inside" if source.holds(target) else "around"
    found = (
        f"found {shown(str(target))}, which is {relation} {BY_NAME['source'].variable} {shown(str(source))}: "
        "hour files would be taken for sources"
    )
    return [BY_NAME["target"].problem(found)]


def _backup_overlap(backup: Location | None, others: Iterable[Location | None]) -> list[str]:
    if backup is None or not any(other and (other.holds(backup) or backup.holds(other)) for other in others):
        return []
    found = f"found {shown(str(backup))}, which shares keys with the source or the target of the hour files"
    return [BY_NAME["backup_target"].problem(found)]


def no_channel(environ: Mapping[str, str]) -> list[str]:
    """The problem of a token without a channel to send to."""
    token, channel = BY_NAME["slack_token"], BY_NAME["slack_channel"]
    if not environ.get(token.variable) or environ.get(channel.variable):
        return []
    return [channel.problem(f"not set, and {token.variable} is")]
