"""The watchdog: what it judges, what it remembers, what it reads of an instance, and what the command says."""
