"""Arguments of a program: ours by name, then the administrator's over them.

k3s pkg/util/args.go, which RKE2 documents for `*-arg` settings: `name=value` takes the place of ours, and may stand
there several times; `name+=value` appends to ours with a comma, `name-=value` puts it before; a bare `name` is true.
Pure.
"""

from collections.abc import Mapping, Sequence


def command_line(ours: Mapping[str, str], extra: Sequence[str]) -> tuple[str, ...]:
    """Our arguments and the extra ones -> `--name=value`, sorted by name, repeated ones in the order given."""
    values = {name: [value] for name, value in ours.items()}
    given: set[str] = set()
    for text in extra:
        name, equals, value = text.removeprefix("--").partition("=")
        place = name[-1:] if equals else ""
        name = name.rstrip("+-") if place in ("+", "-") else name
        value = value if equals else "true"
        if place in ("+", "-") and values.get(name):
            last = values[name].pop()
            values[name].append(f"{last},{value}" if place == "+" else f"{value},{last}")
        elif name in given:
            values[name].append(value)
        else:
            values[name] = [value]
        given.add(name)
    return tuple(f"--{name}={value}" for name in sorted(values) for value in values[name])
