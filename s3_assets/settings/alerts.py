"""The settings of alerts: the sender's, which channel and owner an alert goes to, and the sensor's heartbeat.

They are read alone, so that a problem with any other setting can be told. What alerts say and when is in
`s3_assets.alerts`; nothing of the hour files here, and nothing of the backup.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from s3_assets.errors import SettingsError
from s3_assets.settings.reading import no_channel, read_value
from s3_assets.settings.table import BY_NAME
from s3_assets.settings.toml_file import read_document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s3_assets.settings.toml_file import AlertRoute


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """The settings of alerts, checked. The fields are their rows of `SETTINGS`, and `[alerts]`.

    Attributes:
        slack_channel: None where there is no token.
        heartbeat_url: Of the sensor; the backup has its own.
        owner: Who looks after what no route names; empty for nobody.
        routes: The first that matches an event is its.
        owners: The channels of owners, for routes that name none.
    """

    slack_token: str | None = field(repr=False)
    slack_channel: str | None
    slack_url: str
    dagster_url: str | None
    alert_summary_minutes: int
    heartbeat_url: str | None = field(default=None, repr=False)
    owner: str = ""
    routes: tuple[AlertRoute, ...] = ()
    owners: Mapping[str, str] = field(default_factory=dict, hash=False)

    def destination(self, event: str, owner: str = "") -> tuple[str, str]:
        """The channel and the owner of an alert; either may be empty.

        Args:
            event: Whose alert it is, by its name as it is in the keys; empty where it is no event's.
            owner: Who is known to look after it, whatever the routes say; empty for nobody.
        """
        of_event = (route for route in self.routes if any(fnmatchcase(event, pattern) for pattern in route.events))
        route = next(of_event, None) if event else None
        name = owner or (route and route.owner) or self.owner
        return (route and route.channel) or self.owners.get(name) or self.slack_channel or "", name


_ALERT_NAMES: Final = frozenset(BY_NAME) & {spec.name for spec in fields(AlertSettings)}


def load_alert_settings(
    environ: Mapping[str, str], *, read_file: Callable[[str], bytes] | None = None
) -> AlertSettings:
    """Read the settings of alerts alone: what is wrong with others must not keep it from being told.

    Where the TOML file or a route in it can't be used, alerts go without it; `load_settings` says what is wrong.

    Args:
        environ: The environment. An empty value counts as not set.
        read_file: Gives the bytes at `S3_ASSETS_CONFIG`; None reads the file.

    Raises:
        SettingsError: With every problem there is in the variables of alerts, a line each.
    """
    problems: list[str] = []
    values = {name: read_value(BY_NAME[name], environ, problems) for name in sorted(_ALERT_NAMES)}
    problems += no_channel(environ)
    if problems:
        raise SettingsError(problems)
    document = read_document(environ.get(BY_NAME["config"].variable), read_file, [])
    return AlertSettings(**values, **document.alerts)
