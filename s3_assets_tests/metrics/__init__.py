"""Tests of `s3_assets.metrics`."""
