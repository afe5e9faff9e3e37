"""Where the hour files are made: the effects around `s3_assets.hour_file`, over any `s3_assets.store`.

`build` makes one hour right, `reconcile` looks which hours are not, and makes many right.
"""
