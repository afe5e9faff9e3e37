"""Tests of s3_assets; not installed."""
