"""Settings that are written down with a pipeline, in Python or YAML, in place of environment variables.

They are the rows of the table of settings by their names: `source`, not `S3_ASSETS_SOURCE`. All of them are checked
when definitions load, so that a typing error is found there and not at night; only what stands in a variable that is
not set yet has to wait. A secret is never written down, only the name of its variable.
"""

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final

import dagster as dg

from s3_assets.errors import SettingsError
from s3_assets.settings import PIPELINE_SETTINGS, SETTINGS, VARIABLE_PREFIX, Setting, load_settings
from s3_assets.settings.reading import read_value
from s3_assets.settings.values import shown

SettingValue = str | int | date | dg.EnvVar
"""A setting: its value, or the name of the environment variable that holds it when a run or a tick needs it."""

_ROWS: Final = {setting.name: setting for setting in PIPELINE_SETTINGS}
_IntVariable: Final = type(dg.EnvVar.int("NONE"))
_VARIABLE = re.compile(rf"\b{VARIABLE_PREFIX}([A-Z_]+)\b")


def check(values: Mapping[str, SettingValue]) -> None:
    """Whether a pipeline can be defined by these.

    Raises:
        SettingsError: With every problem there is, a line each, by the names of the settings.
    """
    refused = dict(_refused(values))
    good = {name: value for name, value in values.items() if name not in refused}
    told = as_variables(good)
    problems: list[str] = []
    if refused or any(_ROWS[name].variable not in told for name in good):
        for setting in PIPELINE_SETTINGS:  # what is in a variable that is not set yet can't be compared with the rest
            read_value(setting, told, problems, {"source", "target"} - values.keys())
    else:
        try:
            load_settings(told)
        except SettingsError as error:
            problems = error.problems
    if refused or problems:
        raise SettingsError([*refused.values(), *map(by_name, problems)])


def as_variables(values: Mapping[str, SettingValue]) -> dict[str, str]:
    """The environment that says the same; a variable that is not set leaves its setting out."""
    texts = {_ROWS[name].variable: _text(value) for name, value in values.items()}
    return {variable: text for variable, text in texts.items() if text is not None}


def as_config(values: Mapping[str, SettingValue]) -> dict[str, Any]:
    """The fields of the resource that holds them: whole numbers as such, and variables by their names."""
    config: dict[str, Any] = {}
    for name, value in values.items():
        is_number = bool(_ROWS[name].unit)
        if (variable := variable_of(value)) is not None:
            config[name] = dg.EnvVar.int(variable) if is_number else dg.EnvVar(variable)
        elif str(value):  # an empty text is a setting that is left out
            config[name] = int(str(value)) if is_number else str(value)
    return config


def variable_of(value: object) -> str | None:
    """The name of the environment variable that holds a setting; None where it is written down."""
    return value.env_var_name if isinstance(value, dg.EnvVar | _IntVariable) else None


def by_name(line: str) -> str:
    """A problem of settings that are no variables: `source`, not `S3_ASSETS_SOURCE`."""
    return _VARIABLE.sub(lambda found: found[1].lower(), line)


def _text(value: SettingValue) -> str | None:
    variable = variable_of(value)
    return (str(value) if variable is None else os.environ.get(variable)) or None


def _refused(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """What is no setting, and what can't be written down, with the reason."""
    for name, value in values.items():
        if name not in _ROWS:
            yield name, _unknown(name)
        elif _ROWS[name].secret and variable_of(value) is None:
            yield name, _secret(_ROWS[name])
        elif isinstance(value, bool) or not isinstance(value, str | int | date):
            yield name, by_name(_ROWS[name].problem(f"found {shown(value)}"))


def _unknown(name: str) -> str:
    if name in {setting.name for setting in SETTINGS}:
        return f"{name}: no setting of a pipeline; it is set by {VARIABLE_PREFIX}{name.upper()}, once for all"
    close = difflib.get_close_matches(name, _ROWS, n=1)
    return f"{name}: there is no such setting; " + (
        f"did you mean {close[0]}?" if close else f"the settings are {', '.join(_ROWS)}"
    )


def _secret(setting: Setting) -> str:
    """What is found is not shown."""
    return (
        f"{setting.name}: written down, where everybody may see it; needs the name of the variable that holds it, "
        f'for example dg.EnvVar("{setting.name.upper()}"), or in YAML "{{{{ env.{setting.name.upper()} }}}}"'
    )
