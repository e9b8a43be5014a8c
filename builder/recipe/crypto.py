"""Which crypto a Go component gets, and whether that means C. Pure."""

from builder.recipe.model import Fips, GoComponent, Recipe


def fips_of(component: GoComponent, recipe: Recipe) -> Fips:
    """The component's own `fips`, else the recipe's."""
    return component.fips if component.fips is not None else recipe.fips


def uses_c(component: GoComponent, recipe: Recipe) -> bool:
    """Whether a C compiler works on it: its own C, or BoringCrypto, which is a C library inside Go's toolchain."""
    return component.cgo or fips_of(component, recipe) is Fips.BORINGCRYPTO
