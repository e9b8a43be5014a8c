"""Where a node keeps what it knows of trust: DATA/sealift/trust, mode 0700. Pure."""

from dataclasses import dataclass
from pathlib import Path

from runtime.layout import NodeLayout


@dataclass(frozen=True, slots=True)
class TrustPlaces:
    """Paths below `folder`."""

    folder: Path

    @classmethod
    def of(cls, layout: NodeLayout) -> "TrustPlaces":
        """A data directory's."""
        return cls(layout.ours / "trust")

    @property
    def policies(self) -> Path:
        """One folder per policy that was installed, by its sequence; with its signatures."""
        return self.folder / "policies"

    @property
    def current(self) -> Path:
        """A symlink to the folder of the policy in force."""
        return self.folder / "policy"

    @property
    def memory(self) -> Path:
        """Highest sequences, times, the end of the log."""
        return self.folder / "memory.json"

    @property
    def audit(self) -> Path:
        """The audit log."""
        return self.folder / "audit.jsonl"
