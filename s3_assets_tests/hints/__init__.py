"""Hints: what messages say, the queue that they come from, its twin."""
