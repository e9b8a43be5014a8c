"""RKE2's configuration -> the registries that it names: `system-default-registry`, `private-registry` and its file."""

from collections.abc import Mapping
from pathlib import Path

from bundles.digest import Digest
from bundles.errors import UsageError
from bundles.registry.place import parse_prefix
from bundles.talk import Progress
from runtime.layout import NodeLayout
from runtime.nodeconf.read import read_settings
from runtime.nodeconf.settings import Settings
from runtime.pullingways import Named, Network
from runtime.registries import read_private_registry
from runtime.trusting import gate


def configured(config: Path | None, registries: Path | None) -> Named | None:
    """The configuration file (and its drop-ins) and a file of registries, as the command line gives them.

    None when it gives neither: then no network is asked. `registries` None: the configuration's, else RKE2's own
    where that is there. Raises UsageError, ProblemsError, FormatError.
    """
    if config is None and registries is None:
        return None
    settings = read_settings(config, required=True) if config is not None else {}
    private = _text(settings, "private-registry")
    system_default = _text(settings, "system-default-registry").rstrip("/")
    if system_default:
        parse_prefix(system_default)
    return Named(
        registries=read_private_registry(registries or (Path(private) if private else None)),
        system_default=system_default,
        default_endpoints=_text(settings, "disable-default-registry-endpoint") not in ("true", "True", "TRUE", "1"),
    )


def network(
    config: Path | None, registries: Path | None, *, layout: NodeLayout, unsigned: bool, env: Mapping[str, str],
    now: int, progress: Progress,
) -> Network | None:  # fmt: skip
    """What `extract` may ask; None: nobody. What no bundle vouches for is in the audit log before it is used.

    `now` in epoch seconds. The caller of `Network.admit` holds the node's lock.
    """
    if (named := configured(config, registries)) is None:
        return None

    def admit(image: str, source: str, digest: Digest) -> None:
        details = {"image": image, "digest": str(digest), "from": source, "trust": "insecure"}
        gate.log(layout, at=now, event="extract", result="admitted", details=details)

    return Network(named=named, env=env, unsigned=unsigned, admit=admit, progress=progress)


def _text(settings: Settings, key: str) -> str:
    setting = settings.get(key)
    if setting is None or not setting.values:
        return ""
    if len(setting.values) > 1:
        raise UsageError("takes one value", where=f"{setting.where}:{key}")
    return setting.values[0]
