"""Tests of `s3_assets.audit`."""
