"""The pipeline as a component: the example as Dagster and `dg` take it; what is said of attributes that are wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from pydantic import ValidationError

from s3_assets.dagster.component import ATTRIBUTES, HourlyPipelineComponent
from s3_assets.errors import SettingsError
from s3_assets.settings import PIPELINE_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3_assets_tests.servers import Server

EXAMPLE = Path(__file__).parents[2] / "examples" / "component"
TYPE = "s3_assets.dagster.component.HourlyPipelineComponent"
GOOD = {"name": "orders", "source": "s3://raw/orders/", "target": "s3://hourly/orders/"}
EIGHT = "placed|2025-02-03-08:00"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The example, somewhere else: whatever tools leave behind is not left in the tree."""
    return shutil.copytree(EXAMPLE, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__"))


def resource_of(component: HourlyPipelineComponent) -> Any:
    """The resource that holds its settings."""
    return (component.pipeline.definitions().resources or {})["orders_pipeline"]


def attributes(**more: object) -> HourlyPipelineComponent:
    """The component of a `defs.yaml`."""
    return HourlyPipelineComponent.from_attributes_dict(attributes={**GOOD, **more})


def run_dg(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`dg` in the project."""
    command = [Path(sys.executable).with_name("dg"), *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=280)


def load(project: Path, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    """Its definitions, as a code server loads them, anew each time."""
    monkeypatch.syspath_prepend(str(project))
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        monkeypatch.delitem(sys.modules, name)
    return dg.load_from_defs_folder(path_within_project=project)


# --- the example -------------------------------------------------------------------------------------------


def test_the_example_makes_an_hour_of_each_pipeline(
    running: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    """Loaded as a code server loads it; what the YAML says of the pattern, the prefixes and the policies holds."""
    server = running("seaweedfs")
    store = server.store(server.new_bucket())
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("orders", "clicks"):
        monkeypatch.setenv(f"{name.upper()}_SOURCE", f"s3://{store.bucket}/{name}/in/")
        monkeypatch.setenv(f"{name.upper()}_TARGET", f"s3://{store.bucket}/{name}/out/")
    store.put("orders/in/placed/2025-02-03/08_00_a.csv", b"id\n1\n")
    store.put("clicks/in/placed/2025-02-03/08-00-a.csv", b"page\n/home\n")
    definitions = load(project, monkeypatch)
    with dg.DagsterInstance.ephemeral() as instance:
        for name in ("orders", "clicks"):
            job = definitions.resolve_job_def(f"{name}_hourly_gzip_job")
            config = {"ops": {f"{name}_hourly_gzip": {"config": {"partition_keys": [EIGHT]}}}}
            assert job.execute_in_process(instance=instance, run_config=config).success
    assert sorted(info.key for info in store.list("") if "/out/" in info.key) == [
        "clicks/out/placed/2025-02-03/08.csv.gz",
        "orders/out/placed/2025-02-03/08.csv.gz",
    ]


def test_dg_checks_the_example(project: Path) -> None:
    """The YAML against the attributes, then the definitions, in processes of its own, with no variable set."""
    done = run_dg(project, "check", "defs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All component YAML validated successfully." in done.stdout
    assert "All definitions loaded successfully." in done.stdout


@pytest.mark.soak
def test_dg_lists_the_component_and_its_definitions(project: Path) -> None:
    """By the entry point of the package; each definition names the YAML that it comes from."""
    components = json.loads(run_dg(project, "list", "components", "--json").stdout)["items"]
    assert "One right gzip" in {one["key"]: one["summary"] for one in components}[TYPE]
    listed = json.loads(run_dg(project, "list", "defs", "--json").stdout)
    assets = {one["asset_key"]: one for one in listed["assets"]}
    assert {"orders/hourly_gzip", "clicks/hourly_gzip"} <= assets.keys()
    assert assets["clicks/hourly_gzip"]["group_name"] == "web"
    assert assets["clicks/hourly_gzip"]["source"].startswith("shop/defs/clicks/defs.yaml")
    assert {"orders_source_sensor", "clicks_source_sensor"} <= {one["name"] for one in listed["sensors"]}


@pytest.mark.soak
@pytest.mark.parametrize(
    "command, wrong, words",
    [
        ("yaml", "hot_day: 3", "hot_day"),
        ("yaml", "hot_days: [3]", "hot_days"),
        ("defs", "hot_days: 99", "orders/defs.yaml:8: hot_days: found '99'; needs a whole number from 1 to 31"),
    ],
)
def test_dg_says_what_is_wrong_and_where(project: Path, command: str, wrong: str, words: str) -> None:
    """What can't be an attribute, by its line; a value that can't be used, when definitions are loaded."""
    shutil.rmtree(project / "shop" / "defs" / "clicks")  # dg 1.13 looks at one YAML of a type
    path = project / "shop" / "defs" / "orders" / "defs.yaml"
    path.write_text(path.read_text().replace("hot_days: 3", wrong))
    done = run_dg(project, "check", command)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert words in " ".join(said.split())
    assert "orders/defs.yaml" in said


# --- attributes --------------------------------------------------------------------------------------------


def test_attributes_are_the_table_of_settings() -> None:
    """Each with its meaning, for editors and the UI; source, target and a name have to be given."""
    schema = ATTRIBUTES.model_json_schema()
    own = {"name", "key_prefix", "asset_group", "groups", "alerts", "s3"}
    assert schema["properties"].keys() == own | {setting.name for setting in PIPELINE_SETTINGS}
    assert all(one["description"] for one in schema["properties"].values())
    assert set(schema["required"]) == {"name", "source", "target"}
    assert schema["additionalProperties"] is False
    for no_number in (True, 3.0):
        with pytest.raises(ValidationError):
            ATTRIBUTES(name="orders", source="s3://raw/a/", target="s3://hourly/a/", hot_days=no_number)


def test_a_variable_is_shown_by_its_name_and_read_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is set already: its value, which may be a secret, is in no definition."""
    monkeypatch.setenv("ORDERS_TOKEN", "xoxb-9-very-secret")
    component = attributes(slack_token="{{ env.ORDERS_TOKEN }}", slack_channel="#orders", hot_days="{{env.DAYS}}")
    resource = resource_of(component)
    assert resource.slack_token.env_var_name == "ORDERS_TOKEN"
    assert resource.hot_days.env_var_name == "DAYS"
    assert "very-secret" not in repr(component.pipeline)


def test_other_templates_are_filled_in_and_other_text_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern has braces of its own, and a name may look like a number."""
    monkeypatch.setenv("STAGE", "prod")
    component = attributes(
        target="s3://hourly-{{ env.STAGE }}/orders/",
        source_pattern="{event}/{date}/{HH}-{MM}-{name}.csv",
        tick_seconds=7,
        s3={"region_name": "eu-west-1", "profile_name": "{{ env.STAGE }}"},
    )
    resource = resource_of(component)
    assert resource.target == "s3://hourly-prod/orders/"
    assert resource.source_pattern == "{event}/{date}/{HH}-{MM}-{name}.csv"
    assert resource.tick_seconds == 7
    assert component.pipeline.s3.region_name == "eu-west-1"
    assert component.pipeline.s3.profile_name.env_var_name == "STAGE"


def test_names_groups_and_alerts_are_attributes() -> None:
    """As in Python."""
    pipeline = attributes(key_prefix=["shop", "orders"], asset_group="shop", groups=[""], alerts="none").pipeline
    assert pipeline.asset == dg.AssetKey(["shop", "orders", "hourly_gzip"])
    assert (pipeline.asset_group, pipeline.groups, pipeline.alerts) == ("shop", [""], "none")


def test_a_problem_names_the_line_that_it_is_in(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one attribute its own; of one that is not there, where attributes begin."""
    path = project / "shop" / "defs" / "orders" / "defs.yaml"
    text = path.read_text().replace("hot_days: 3", "hot_days: 99").replace("name: orders", "name: Orders")
    for wrong, lines in ((text, ["8"]), (text.replace("hot_days: 99", "hot_days: 9"), ["4"])):
        path.write_text(wrong)
        with pytest.raises(Exception, match="Error while loading component orders") as caught:
            load(project, monkeypatch)
        assert isinstance(caught.value.__cause__, SettingsError)
        problems = caught.value.__cause__.problems
        assert [line.rpartition(f"{path}:")[2].split(":")[0] for line in problems] == lines


@pytest.mark.parametrize(
    "more, words",
    [
        ({"slack_token": "xoxb-9-very-secret", "slack_channel": "#a"}, 'in YAML "{{ env.SLACK_TOKEN }}"'),
        ({"slack_token": "{{ env('TOKEN') }}", "slack_channel": "#a"}, 'in YAML "{{ env.SLACK_TOKEN }}"'),
        ({"source": "raw/orders"}, "source: found 'raw/orders'"),
        ({"start_date": "2024-02-30"}, "start_date: found '2024-02-30', which is no day"),
    ],
)
def test_a_value_that_cannot_be_used_is_told(more: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the attribute's name, with what would be right; a secret is not repeated."""
    monkeypatch.setenv("TOKEN", "xoxb-9-very-secret")
    with pytest.raises(SettingsError) as caught:
        attributes(**more)
    assert words in str(caught.value)
    assert "very-secret" not in str(caught.value)
