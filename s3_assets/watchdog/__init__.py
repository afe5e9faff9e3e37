"""The watchdog: says from outside of Dagster what a dead daemon, code server or database can't say itself.

`picture` is what was seen, `checks` judges it, `memory` is what is remembered from one look to the next: all pure, and
what is told, when and in which words is decided in `s3_assets.alerts`, so that its messages look like all others.
`look` reads a Dagster instance, `memory_file` keeps the memory. Whether the hours are right is no business of its: the
pipeline tells that while it lives.
"""
