"""Metrics: what is measured, what is kept of it from tick to tick, and how Prometheus gets it.

`table` says which metrics there are, `kept` is what a sensor remembers, `exposition` makes Prometheus's text, `file`
writes it, and `publish` writes and serves it as the settings say. Where the numbers come from is in
`s3_assets.dagster.metrics`. `prometheus_client` is imported only where somebody asked for metrics.
"""
