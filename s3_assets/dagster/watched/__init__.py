"""What alerts watch: where problems come from in Dagster. One module for each sort of thing.

Everything here is read from Dagster's own storage, and nothing is asked of S3 or of a local folder: whatever has to be
looked at there is looked at by the sensor whose business it is, which leaves a note. So alerts go out when S3 does not
answer. Whether a problem is told, when and in which words is decided in `s3_assets.alerts`.
"""
