"""A Dagster project with two pipelines of s3_assets, each a component."""
