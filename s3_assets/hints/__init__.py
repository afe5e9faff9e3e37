"""S3 event notifications as hints: which hours to look at first.

A hint never decides anything. It names an hour that is worth a look; the listing says what is there. So a hint may be
lost, late, doubled, out of order, forged or nonsense, and the hour files are the same: only the time differs at which
an hour is looked at. Hours that no hint named are found by the next whole listing.

`messages` and `hours` are pure; `contract` says what a source of hints does, `queue` is SQS, `memory` its twin. Nothing
here lists, builds or knows Dagster.
"""
