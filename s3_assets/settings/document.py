"""The text of docs/settings.md: the rows of `SETTINGS` and the fields of `EventPolicy`, and what is said around them.

What a setting means, which values it takes and what its default is stand in its row, never here, so that the document
can't say anything else than the code.
"""

from __future__ import annotations

from dataclasses import fields

from s3_assets.hour_file.policy import EventPolicy
from s3_assets.settings.table import SETTINGS
from s3_assets.settings.toml_file import toml, valid_values

_HEAD = """\
# Settings

<!-- Made by `python -m s3_assets.settings` from s3_assets/settings/ and s3_assets/hour_file/policy.py. -->

Settings are environment variables. They are read when a run, a sensor or a command starts, never at import, and all
problems are reported at once. An empty value counts as not set. A variable that begins with `S3_ASSETS_` and is not
listed here is refused, so that a typing error can't pass for a default.

Credentials, region and endpoint come from where AWS's own tools take them (`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`,
`AWS_REGION`, `AWS_ENDPOINT_URL`, a role, ...). They are not settings of this package, and never go into an address:
`s3://key:secret@bucket/` is refused, and not repeated in the message.

"""

_POLICY_HEAD = """\
## Policies of events

`S3_ASSETS_CONFIG` names a TOML file. `[defaults]` holds for every event; `[events."name"]` changes single fields for
the event of exactly this name. There are no patterns: what holds for an event stands in at most two places.

```toml
[defaults]
on_schema_change = "quarantine"

[events."payments"]
on_vanished = "drop"
max_vanished_share = 0.1

[events."raw.clicks"]
header = false
columns = ["time", "user", "page"]
compression = "fast"
```

Sources are CSV as RFC 4180 has it: fields separated by commas, quoted by double quotes, a quote in a quoted field
doubled; rows end in LF or CRLF; any encoding in which ASCII is ASCII (UTF-8, Latin-1, EUC-KR). Semicolons, tabs and
other separators are not supported: a source whose first line shows one is quarantined.

A change of `header`, `columns`, `check_header`, `on_schema_change`, `on_vanished` or one of the bounds (`max_columns`,
`max_header_bytes`, `max_row_bytes`, `max_growth`) makes the hours of the event be looked at again; a change of
`compression` counts for what is written from then on; a change of the others writes nothing. Rows whose source is gone
keep the columns that they were read under, whatever the settings say later.

"""


_GROUP_TAIL = """
## Groups of events

With very many events, one grid of partitions gets slow in the UI ([sensor.md](sensor.md) has the numbers). In the same
file, `[groups]` puts events into assets of their own, `hourly_gzip_payments` and so on, each with its grid, its job and
its sensor, in the same code location and over the same buckets:

```toml
[groups]
payments = ["pay*", "refunds"]   # the first group that matches an event takes it
web = ["page_*", "clicks"]
```

An event of no group is in `hourly_gzip`. Groups are read when definitions load: reload the code location after a
change. An event that changes its group is looked at again, and nothing of it is written again.
"""

_BACKUP_TAIL = """
## Files of the backup

In the same file, `[backup]` says which local files are backed up, and how they are counted ([backup.md](backup.md)):

```toml
[backup]
include = ["**/*.json"]          # the default
exclude = ["tmp/**", "**/.*"]

[backup.groups]                  # a file is of the first group that names it
overspeed = ["**/overspeed/**"]
error = ["**/error/**", "**/*_error.json"]
```

Paths are relative to `S3_ASSETS_BACKUP_DIR`, with `/` between folders. `*` stands for any part of one name, `?` for one
character of it, `**` between slashes for any number of folders, at the end for all below; all else is itself. Names
that begin with a dot are names like others.
"""


_ALERT_TAIL = """
## Where alerts go

In the same file, `[alerts]` sends alerts about some events to other channels than S3_ASSETS_SLACK_CHANNEL, and names
who looks after them ([alerts.md](alerts.md)):

```toml
[alerts]
owner = "@data-team"             # of all that no route names

[[alerts.routes]]                # the first route that matches an event is its
events = ["pay*", "refunds"]
owner = "<!subteam^S0123ABCD>"   # written like this, Slack tells the members of the group
channel = "#payments"

[[alerts.routes]]
events = ["clicks"]
owner = "@growth"

[alerts.owners]                  # the channel of an owner, for routes that name none
"@growth" = "#growth-alerts"
```

`*` stands for any part of an event's name, `?` for one character, `[ab]` for one of these.
"""


def markdown() -> str:
    """The text of docs/settings.md."""
    lines = [_HEAD]
    for setting in SETTINGS:
        default = f"`{setting.default}`" if setting.default else "none: it is required" if setting.required else "none"
        lines.append(
            f"## `{setting.variable}`\n\n{setting.meaning}\n\n"
            f"- Values: {setting.values}\n"
            f"- Default: {default}{f' {setting.unit}' if setting.unit and setting.default else ''}\n"
            f"- Example: `{setting.example}`\n\n"
        )
    lines.append(_POLICY_HEAD)
    lines.append("| Field | Values | Default | Meaning |\n|---|---|---|---|\n")
    for spec in fields(EventPolicy):
        values, default = valid_values(spec.name), toml(spec.default)  # type: ignore[arg-type]
        lines.append(f"| `{spec.name}` | {values} | `{default}` | {spec.metadata['meaning']} |\n")
    return "".join([*lines, _GROUP_TAIL, _BACKUP_TAIL, _ALERT_TAIL])
