"""Errors of the builder: the ones of `bundles.errors` serve; these two say more.

UsageError
|-- RecipeError    a recipe or lock that is wrong        exit 2
SealiftError
`-- StepError      a build step that failed              exit 1
"""

from bundles.errors import SealiftError, UsageError


class RecipeError(UsageError):
    """A recipe or lock that is wrong, stale or edited."""


class StepError(SealiftError):
    """A build step failed; `where` names the step, the hint names its log."""
