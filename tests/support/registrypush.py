"""Pushing in-process."""

from bundles.digest import Digest
from bundles.registry.opened import opened_bundle
from bundles.registry.push import Sent

opened = opened_bundle


def sent_nothing() -> Sent:
    """Before anything was sent."""
    return Sent(digest=Digest("0" * 64), tag="none")
