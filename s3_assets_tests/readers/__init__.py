"""Readers that owners use: each gets all rows of an hour file."""
