"""Which images of the bundle a boot used, who used them, and what was asked for and is not there. Pure."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from bundles.digest import Digest
from bundles.errors import SealiftError
from bundles.index import BundleIndex, Image
from bundles.reference import Reference
from runtime.prove.objects import Pod
from runtime.prove.report import ImageResult, MissingResult

# What asks for images without being a pod.
NODE: Final = "the node's programs"
SANDBOXES: Final = "every pod's sandbox"


@dataclass(slots=True)
class Seen:
    """Who asked for which image, over a whole boot: pods come and go between two looks."""

    users: dict[str, set[str]] = field(default_factory=dict)

    def ask(self, image: str, user: str) -> None:
        """`user` wants `image`, spelled as it likes."""
        self.users.setdefault(normal(image), set()).add(user)

    def pods(self, pods: Iterable[Pod]) -> None:
        """All containers of `pods`."""
        for pod in pods:
            for image in pod.images:
                self.ask(image, _user(pod))


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """`strange`: images whose bytes are not those of the bundle, in words."""

    used: tuple[ImageResult, ...]
    unused: tuple[str, ...]
    missing: tuple[MissingResult, ...]
    strange: tuple[str, ...]


def usage(index: BundleIndex, seen: Seen, held: Mapping[str, Digest], without: Container[str] = ()) -> Usage:
    """The bundle, who asked, and what containerd holds (reference -> digest) -> who used what.

    `without`: archives, by path, whose images nobody needs: other choices than were made.
    """
    promised = {normal(image.reference): image for image in index.images}
    used, missing, strange = [], [], []
    for reference, users in sorted(seen.users.items()):
        names = tuple(sorted(users))
        image = promised.get(reference)
        if image is None:
            missing.append(MissingResult(reference=reference, used_by=names))
            continue
        digest = held.get(reference, image.digest)
        if digest not in _digests(image):
            strange.append(f"{reference} is {digest}, not {image.digest}")
        used.append(ImageResult(reference=reference, digest=digest, used_by=names))
    needed = {name for name, image in promised.items() if image.archive not in without}
    unused = tuple(sorted(needed - seen.users.keys()))
    return Usage(used=tuple(used), unused=unused, missing=tuple(missing), strange=tuple(strange))


def missing_now(index: BundleIndex, seen: Seen) -> bool:
    """Whether somebody asks for an image that the bundle does not have: waiting will not bring it."""
    return not seen.users.keys() <= {normal(image.reference) for image in index.images}


def normal(image: str) -> str:
    """An image as containerd calls it; what is no reference stays as it is."""
    try:
        return Reference.parse(image).name
    except SealiftError:
        return image


def listed(text: str) -> dict[str, Digest]:
    """The output of `ctr images list` -> name -> digest; lines of another form are passed over."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3 and words[2].startswith("sha256:"):
            found[words[0]] = Digest.parse(words[2])
    return found


def _digests(image: Image) -> frozenset[Digest]:
    return frozenset(digest for digest in (image.digest, image.index_digest) if digest is not None)


def _user(pod: Pod) -> str:
    """A pod by who made it: names of pods of a Deployment end in random letters."""
    for owner in pod.metadata.owner_references:
        if owner.kind == "Node":
            break
        template_hash = pod.metadata.labels.get("pod-template-hash", "")
        kind, name = owner.kind, owner.name
        if kind == "ReplicaSet" and template_hash:
            kind, name = "Deployment", name.removesuffix(f"-{template_hash}")
        return f"{kind} {pod.metadata.namespace}/{name}"
    return f"Pod {pod.title}"
