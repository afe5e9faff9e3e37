"""Where Dagster is wired: one module per Dagster concept, each thin over `s3_assets.builder`.

`definitions` only assembles. No module here uses `from __future__ import annotations`: it breaks the annotations
that Dagster's decorators read.
"""
