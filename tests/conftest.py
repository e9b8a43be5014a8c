"""How many examples a property gets: a hundred in `make test`, thousands in `make fuzz`."""

from hypothesis import HealthCheck, settings

settings.register_profile("test", max_examples=100, deadline=None)
settings.register_profile(
    "fuzz", max_examples=3_000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("test")
