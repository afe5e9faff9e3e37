"""The pure core: every codec and every decision, by property."""
