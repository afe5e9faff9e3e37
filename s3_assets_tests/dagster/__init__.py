"""Tests of the Dagster layer, through Dagster's own entry points."""
