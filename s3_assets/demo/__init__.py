"""What makes the project run on one machine with nothing installed but this package. No production code."""
