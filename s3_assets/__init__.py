"""s3_assets: one right gzip per event and hour, from the CSV files that producers drop into S3."""

__version__ = "0.1.0"
