"""The daily backup: the local files of a day, on S3, and a manifest that says that all of them are there.

The local folder is the desired state, the bucket the actual one; a run makes the second like the first and never
deletes there. `days`, `globs`, `manifest` and `plan` are pure; the rest reads files and talks to S3. Dagster and the
CLI are not known here.
"""
