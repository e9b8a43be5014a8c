"""The real bundle of `make test`, for boots."""

from tests.interop.conftest import rke2_bundle as rke2_bundle
