"""The one door to container engines: docker and podman by python-on-whales (the extra `engine`).

One image at a time: `podman save A B` without its -m writes A's content under both names (podman issue 8620).
`legacy_build` because `build` wants buildx, which podman has not, and Debian's docker neither.
"""

import contextlib
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from builder.errors import StepError
from bundles.errors import MissingError, UsageError
from bundles.platform import Platform

if TYPE_CHECKING:
    from python_on_whales import DockerClient


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineBuild:
    """What to build: the context's folder, the Containerfile, where the archive goes, a tag for the time of it."""

    folder: Path
    file: Path
    output: Path
    tag: str
    platform: Platform
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    network: bool = False


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine by its command."""

    command: tuple[str, ...]

    @classmethod
    def chosen(cls, env: Mapping[str, str]) -> "Engine":
        """The one that $SEALIFT_ENGINE names, else docker, else podman. Raises MissingError, UsageError."""
        path = env.get("PATH")
        words = shlex.split(env.get("SEALIFT_ENGINE", ""))
        if not words:
            words = next(([name] for name in ("docker", "podman") if shutil.which(name, path=path)), [])
        if not words or shutil.which(words[0], path=path) is None:
            hint = "install podman or docker, or name one: SEALIFT_ENGINE='podman --root DIR'"
            raise MissingError("no container engine", got=" ".join(words), want="docker or podman", hint=hint)
        if Path(words[0]).name not in ("docker", "podman"):
            raise UsageError("an engine of an unknown kind", got=words[0], want="docker or podman")
        return cls(tuple(words))

    def build(self, wanted: EngineBuild) -> None:
        """Builds the image and writes it as an archive of itself alone; the engine forgets the tag afterwards.

        Raises MissingError without the extra, StepError in the engine's words.
        """
        client = self._client()
        from python_on_whales.exceptions import DockerException

        try:
            client.legacy_build(
                wanted.folder,
                file=wanted.file,
                tags=wanted.tag,
                target=wanted.target or None,
                build_args=dict(wanted.arguments),
                network=None if wanted.network else "none",
                cache=False,
            )
            try:
                client.image.save(wanted.tag, output=wanted.output)
            finally:
                with contextlib.suppress(DockerException):
                    client.image.remove(wanted.tag, force=True)
        except DockerException as exc:
            raise StepError(f"{self.command[0]} failed:\n{_words(str(exc))}", where=str(wanted.file.name)) from None

    def version(self) -> str:
        """What it says of itself, in a line."""
        found = self._client().version()
        said = getattr(found.client, "version", None) or "of unknown version"
        return f"{Path(self.command[0]).name} {said}"

    def _client(self) -> "DockerClient":
        try:
            from python_on_whales import DockerClient
        except ImportError as exc:
            raise MissingError("python-on-whales is not installed", hint="pip install 'sealift[engine]'") from exc
        podman = Path(self.command[0]).name == "podman"
        return DockerClient(client_call=list(self.command), client_type="podman" if podman else "docker")


def _words(text: str) -> str:
    """The end of what an engine printed."""
    lines = [line for line in text.splitlines() if line.strip()]
    return "\n".join(f"  {line[-1000:]}" for line in lines[-20:])
