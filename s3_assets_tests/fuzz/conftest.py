"""How hard Hypothesis tries here: harder in a soak."""

import os

from hypothesis import HealthCheck, settings

EXAMPLES = 1000 if os.environ.get("S3_ASSETS_SOAK") else 50

settings.register_profile("fuzz", deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fuzz")
