"""A code location with two pipelines and an asset of one's own, which has a partition for each hour file of one."""

import csv
import gzip
from collections import Counter
from io import StringIO

import dagster as dg
from dagster_aws.s3 import S3Resource

from s3_assets.dagster.hourly_pipeline import HourlyPipeline
from s3_assets.dagster.resources import PipelineResource
from s3_assets.hour_file.keys import Hour

orders = HourlyPipeline(
    name="orders",
    settings={
        "source": dg.EnvVar("ORDERS_SOURCE"),  # s3://raw/orders/: read when a run or a tick needs it
        "target": dg.EnvVar("ORDERS_TARGET"),
        "start_date": "2024-06-01",
        "hot_days": 3,
    },
)
clicks = HourlyPipeline(
    name="clicks",
    settings={
        "source": dg.EnvVar("CLICKS_SOURCE"),
        "target": dg.EnvVar("CLICKS_TARGET"),
        "start_date": "2025-01-01",
        "source_pattern": "{event}/{date}/{HH}-{MM}-{name}.csv",
    },
    key_prefix=["web", "clicks"],
    asset_group="web",
)


@dg.asset(key_prefix="orders", partitions_def=orders.partitions(), deps=[orders.asset], kinds={"python"})
def orders_by_country(
    context: dg.AssetExecutionContext, orders_pipeline: PipelineResource, orders_s3: S3Resource
) -> dg.MaterializeResult:
    """How many orders of an hour came from where: the resources of `orders` open its hour files, too."""
    hour = Hour.of_partition_key(context.partition_key)
    with orders_pipeline.open(orders_s3) as site:
        rows = gzip.decompress(site.target.get(site.target_key(hour)).read()).decode()
    counts = Counter(row["country"] for row in csv.DictReader(StringIO(rows)))
    return dg.MaterializeResult(metadata={"orders": counts.total(), **counts})


defs = dg.Definitions.merge(
    orders.definitions(),
    clicks.definitions(),
    dg.Definitions(assets=[orders_by_country]),
)
