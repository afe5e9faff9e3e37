"""The pipeline as a Dagster component: what `HourlyPipeline` takes in Python, as attributes in a `defs.yaml`.

Its attributes are the rows of the table of settings by their names, so that a new setting is an attribute at once.
Nothing is decided here, and nothing is read from S3.
"""

import re
from typing import Any, Final

import dagster as dg
from dagster_aws.s3 import S3Resource
from pydantic import BaseModel, Field, StrictInt, create_model

from s3_assets.dagster.alert_scope import AlertScope
from s3_assets.dagster.hourly_pipeline import HourlyPipeline
from s3_assets.dagster.names import ASSET_GROUP
from s3_assets.dagster.written import check
from s3_assets.errors import SettingsError
from s3_assets.settings import PIPELINE_SETTINGS, Setting

_VARIABLE = re.compile(r"\s*\{\{\s*env\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}\s*")
_TEMPLATE = re.compile(r"\{[{%]")


class S3Attributes(dg.Model):
    """Where S3 is and who asks; keys and tokens come from where AWS's own tools take them."""

    endpoint_url: str | None = Field(default=None, description="Of an S3-compatible store. Default: AWS_ENDPOINT_URL.")
    region_name: str | None = Field(default=None, description="Default: AWS_REGION, or the profile's.")
    profile_name: str | None = Field(default=None, description="Of the files of the AWS CLI. Default: AWS_PROFILE.")


class _Attributes(dg.Model):
    """What is no setting; the settings are added to it."""

    name: str = Field(
        description="What the keys of its assets and the names of its jobs, sensors and partitions begin with; their "
        "history hangs on it. Empty: the names of the code location that comes with s3_assets.",
        examples=["orders"],
    )
    key_prefix: list[str] | None = Field(
        default=None, description="What the keys of its assets begin with. Default: its name."
    )
    asset_group: str = Field(default=ASSET_GROUP, description="The group of its assets in the UI.")
    groups: list[str] | None = Field(
        default=None,
        description='Which groups of its events it takes, "" for those in no group; the others are for another code '
        "location. Default: all.",
    )
    alerts: AlertScope = Field(
        default="pipeline",
        description="What its alerts_sensor tells of: its own jobs and sensors, all of the code location that no other "
        "tells of, or nothing.",
    )
    s3: S3Attributes = Field(default_factory=S3Attributes, description="Where S3 is and who asks.")


def _field(setting: Setting) -> Any:
    """The attribute of a setting. A number may be a text that is a template; `true` is none."""
    kind: Any = StrictInt | str if setting.unit else str
    default = f" Default: {setting.default}." if setting.default else ""
    described: dict[str, Any] = {
        "description": f"{setting.meaning} Needs {setting.values}.{default}",
        "examples": [f"{{{{ env.{setting.name.upper()} }}}}" if setting.secret else setting.example],
    }
    return (kind, Field(**described)) if setting.required else (kind | None, Field(default=None, **described))


ATTRIBUTES: Final[type[BaseModel]] = create_model(
    "HourlyPipelineAttributes",
    __base__=_Attributes,
    **{setting.name: _field(setting) for setting in PIPELINE_SETTINGS},
)
"""What stands under `attributes` in a `defs.yaml`."""


class HourlyPipelineComponent(dg.Component, dg.Resolvable):
    """One right gzip per event and hour, from the many small CSV objects that producers drop into S3.

    Attributes are the settings of docs/settings.md by their names, `source` for S3_ASSETS_SOURCE, and these alone: no
    S3_ASSETS_ variable is read. A value that is `{{ env.X }}` and nothing else is read from X when a run or a tick
    needs it, and only its name is shown; other templates are filled in when definitions load.
    """

    def __init__(self, pipeline: HourlyPipeline) -> None:
        """With what the attributes say."""
        self.pipeline = pipeline

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What `dg list components` and the UI say of it."""
        return dg.ComponentTypeSpec(
            description=(cls.__doc__ or "").partition("\n")[0],
            tags=["s3", "csv", "gzip"],
            produces=["asset", "asset_check", "job", "resource", "schedule", "sensor"],
        )

    @classmethod
    def model(cls) -> type[BaseModel]:
        """The attributes."""
        return ATTRIBUTES

    @classmethod
    def resolve_from_model(cls, context: dg.ResolutionContext, model: BaseModel) -> "HourlyPipelineComponent":
        """Read the attributes.

        Raises:
            SettingsError: With every setting that can't be used.
        """
        given = {name: getattr(model, name) for name in type(model).model_fields}
        own = {name: _resolved(context, name, given.pop(name)) for name in _Attributes.model_fields}
        settings = {name: _resolved(context, name, value) for name, value in given.items() if value is not None}
        try:
            check(settings)
            return cls(HourlyPipeline(**{**own, "s3": S3Resource(**own["s3"])}, settings=settings))
        except SettingsError as error:
            tree = context.source_position_tree
            lines = [(_place(tree, context.path, line.partition(":")[0]), line) for line in error.problems]
            raise SettingsError([f"{place}: {line}" if place else line for place, line in lines]) from None

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002
        """All definitions of the pipeline."""
        return self.pipeline.definitions()


def _place(tree: Any, path: list[str | int], name: str) -> str:
    """The file and the line of an attribute, or of all attributes where it is not there; empty where there is none."""
    if tree is None or tree.position.filename == "<string>":
        return ""
    found = tree.lookup([*path, name]) or tree.lookup(path) or tree.position
    return f"{found.filename}:{found.start.line}"


def _resolved(context: dg.ResolutionContext, name: str, value: Any) -> Any:
    """A value with its templates filled in. Text without one stays as it is: it may hold anything."""
    if isinstance(value, BaseModel):
        inner = {key: getattr(value, key) for key in type(value).model_fields}
        return {key: _resolved(context.at_path(name), key, one) for key, one in inner.items() if one is not None}
    if not isinstance(value, str) or not _TEMPLATE.search(value):
        return value
    variable = _VARIABLE.fullmatch(value)
    return dg.EnvVar(variable[1]) if variable else context.at_path(name).resolve_value(value)
