"""Building hour files over a store in memory: what is kept, what is said, what it costs."""
