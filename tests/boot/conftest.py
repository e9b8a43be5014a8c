"""The real bundles of `make test`, for boots."""

from tests.interop.conftest import modern_bundle as modern_bundle
from tests.interop.conftest import rke2_bundle as rke2_bundle
