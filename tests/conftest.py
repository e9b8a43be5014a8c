"""Examples of a property: a hundred in `make test`, the same ones each time; thousands by chance in `make fuzz`."""

from hypothesis import HealthCheck, settings

settings.register_profile("test", max_examples=100, deadline=None, derandomize=True)
settings.register_profile(
    "fuzz", max_examples=3_000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("test")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes may hold the time they were made at (gzip): two workers would not collect the same tests."""
    return argname if isinstance(val, bytes) else None
