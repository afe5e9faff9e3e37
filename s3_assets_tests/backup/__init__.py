"""Tests of the daily backup."""
