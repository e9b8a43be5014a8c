"""A runtime image that no archive has, out of the registries that the configuration names.

What is unpacked is what was admitted: a staged bundle says the image's digest, and then any registry will do. Without
one nobody vouches for what a tag means; that is taken only when it was said aloud, and never against a policy.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from bundles.errors import MissingError, SealiftError, TrustError
from bundles.foreign.model import FoundImage
from bundles.registry.authfiles import Keyring
from bundles.registry.client import HttpRegistry, Settings
from bundles.registry.credentials import Credentials
from bundles.registry.image import remote_image
from bundles.registry.place import Endpoint, Repository
from bundles.registry.registriesyaml import Registries
from bundles.registry.tokens import Keys
from bundles.registry.wire import Wire
from runtime.pullingways import Network, Wanted, only, ways_to

T = TypeVar("T")
Say = Callable[[str], None]


def pulled(network: Network, wanted: Wanted, use: Callable[[FoundImage], T], say: Say) -> tuple[T, str]:
    """What `use` makes of the image, and where it came from: the first registry that gives all of it.

    Raises MissingError when no registry is named for it, TrustError when nobody vouches for it; else what the last
    registry said, with the others' words.
    """
    endpoints = ways_to(wanted.reference, network.named, typed=wanted.typed)
    if not endpoints:
        hint = "no registry is named for it: system-default-registry, or mirrors in registries.yaml"
        raise MissingError(f"no archive holds {wanted.reference}", hint=f"{hint}; or stage its bundle")
    if wanted.digest is None and not network.unsigned:
        hint = "stage a signed bundle: it says the image's digest; or say --insecure-no-signature"
        raise TrustError(f"nobody vouches for what a registry calls {wanted.reference}", hint=hint)
    told: list[str] = []
    for endpoint in endpoints[:-1]:
        try:
            return _from(network, endpoint, wanted, use, say), str(endpoint)
        except TrustError:
            raise
        except SealiftError as exc:
            told.append(f"{endpoint}: {exc.message}")
            say(f"warning: {told[-1]}")
    try:
        return _from(network, endpoints[-1], wanted, use, say), str(endpoints[-1])
    except SealiftError as exc:
        exc.hint = "; ".join(
            [*([f"asked before: {'; '.join(told)}"] if told else []), *([exc.hint] if exc.hint else [])]
        )
        raise


def _from(network: Network, endpoint: Endpoint, wanted: Wanted, use: Callable[[FoundImage], T], say: Say) -> T:
    place = Repository(host=endpoint.host, path=endpoint.path)
    registries = network.named.registries
    wire = Wire(env=network.env, hosts=registries.tls())
    settings = Settings(ways=only(endpoint, place), wire=wire, keys=keys_of(registries, network.env))
    registry = HttpRegistry(settings, network.timing)
    try:
        say(f"no archive holds {wanted.reference}: asking {endpoint}")
        image = remote_image(
            registry, place, wanted.reference, wanted.platform, digest=wanted.digest, progress=network.progress
        )
        if wanted.digest is None:
            network.admit(wanted.reference.name, str(endpoint), image.identity)
        network.progress.begin(f"pulling from {endpoint}", sum(layer.size for layer in image.layers))
        made = use(image)
        network.progress.end()
        return made
    finally:
        registry.close()


def keys_of(registries: Registries, env: Mapping[str, str]) -> Keys:
    """registries.yaml first, then the file of the user's own."""
    keyring = Keyring(env, _no_helper)

    def keys(repository: Repository) -> Credentials | None:
        return registries.keys(repository) or keyring(repository)

    return keys


def _no_helper(name: str, host: str) -> bytes | None:
    """A node runs nothing that a file of a user's home names."""
    hint = "put the credentials into registries.yaml"
    raise SealiftError(f"credential helpers are not used on nodes: docker-credential-{name}", where=host, hint=hint)
