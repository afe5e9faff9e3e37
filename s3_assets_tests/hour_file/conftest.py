"""How hard Hypothesis tries here: enough to find what broke before, in seconds."""

from hypothesis import HealthCheck, settings

settings.register_profile("core", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("core")
