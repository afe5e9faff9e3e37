"""`python -m s3_assets.settings` prints docs/settings.md, and does nothing else."""

from __future__ import annotations

import sys

from s3_assets.settings.document import markdown

if __name__ == "__main__":
    sys.stdout.write(markdown())
