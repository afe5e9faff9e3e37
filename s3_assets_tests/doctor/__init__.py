"""Tests of s3_assets.doctor."""
