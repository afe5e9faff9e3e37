"""Tests of the demo: the sample, the check, and real data for other tests."""
