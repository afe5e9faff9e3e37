"""Tests of `s3_assets.report`."""
