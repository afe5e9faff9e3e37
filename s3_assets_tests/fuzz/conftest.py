"""How hard Hypothesis tries here: harder in a soak."""

from hypothesis import HealthCheck, settings

from s3_assets_tests.scale import SCALE

settings.register_profile(
    "fuzz", deadline=None, max_examples=SCALE.examples(50, 1000), suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("fuzz")
