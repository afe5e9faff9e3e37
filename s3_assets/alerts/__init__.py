"""Alerts that people can live with: from what is wrong now, and what was said already, to what is to be said.

State, not events: `problems` and `reconcile` decide, `compose` puts it into words, `deliver` sends and remembers,
all without Dagster, clock or environment. `slack` is the one sender. Where problems come from is wired in
`s3_assets.dagster.alerts`.
"""
