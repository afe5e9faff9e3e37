"""The object store: a small contract (`contract`), its memory twin (`memory`) and S3 itself (`s3`).

Nothing here knows what an hour file is.
"""
