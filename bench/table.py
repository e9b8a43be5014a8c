"""Every measure of the bench, in the order of the table: one file in `bench/figures/`, one line here."""

from collections.abc import Callable, Iterable, Mapping

from bench.figures import (
    boot,
    build,
    build_memory,
    import_,
    join,
    memory,
    mirror,
    push_images,
    readers,
    registry,
    signing,
    size,
    startup,
)
from bench.model import Figure
from bench.timing import Bench

Measure = Callable[[Bench], Iterable[Figure]]

MEASURES: Mapping[str, Measure] = {
    "boot": boot.measure,
    "build": build.measure,
    "build_memory": build_memory.measure,
    "import": import_.measure,
    "join": join.measure,
    "size": size.measure,
    "memory": memory.measure,
    "mirror": mirror.measure,
    "push_images": push_images.measure,
    "readers": readers.measure,
    "registry": registry.measure,
    "signing": signing.measure,
    "startup": startup.measure,
}
