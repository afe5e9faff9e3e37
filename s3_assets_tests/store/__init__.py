"""Tests of the store: one conformance suite for every implementation, and faults of the network."""
