"""Settings: keys with their values as text and where they stand, and how later ones go over earlier ones. Pure.

k3s pkg/configfilearg/parser.go: a later file replaces a key, `key+` appends; command line flags come last.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """The values of one key as text; `where` is `file:line` or the flag."""

    values: tuple[str, ...]
    where: str


Settings = Mapping[str, Setting]


def merge(before: Settings, after: Settings) -> dict[str, Setting]:
    """Later settings over earlier ones; `key+` appends to what is there."""
    merged = dict(before)
    for key, setting in after.items():
        name = key.removesuffix("+")
        if key != name and (earlier := merged.get(name)) is not None:
            setting = Setting((*earlier.values, *setting.values), setting.where)
        merged[name] = setting
    return merged


def from_flags(flags: Iterable[tuple[str, str]]) -> dict[str, Setting]:
    """Command line flags by key -> settings that are merged last."""
    settings: dict[str, Setting] = {}
    for key, value in flags:
        earlier = settings[key].values if key in settings else ()
        settings[key] = Setting((*earlier, value), f"--{key}")
    return settings
