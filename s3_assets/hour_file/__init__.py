"""What an hour file is: keys, source sets, plans, rows, segments and the ledger.

Pure: no Dagster, no S3 client, no clock, no environment. Values in, values out; the effects are in
`s3_assets.builder`.
"""
