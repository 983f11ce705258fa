"""What verifying the chains tells, as JSON."""

from dataclasses import asdict
from uuid import UUID

from pydantic import BaseModel, Field

from services.audit.chain import BrokenLink, Head
from services.audit.verification import BROKEN_NAMED_MAX, ChainsVerified


class Broken(BaseModel):
    """A place where a chain doesn't hold."""

    chain: int
    sequence: int
    event_id: UUID | None = Field(description="null where no row stands")
    problem: str

    @classmethod
    def of(cls, link: BrokenLink) -> "Broken":
        """The same as JSON."""
        return cls(**asdict(link))


class ChainEnd(BaseModel):
    """The recorded end of a chain; kept elsewhere, it shows a log rewritten as a whole."""

    chain: int
    sequence: int
    hash: str

    @classmethod
    def of(cls, chain: int, head: Head) -> "ChainEnd":
        """The same as JSON."""
        return cls(chain=chain, sequence=head.sequence, hash=head.hash.hex())


class Verification(BaseModel):
    """What verifying every chain found."""

    intact: bool
    rows: int = Field(description="how many were verified")
    broken: list[Broken] = Field(description=f"the first {BROKEN_NAMED_MAX:,} places that don't hold")
    broken_total: int
    chains: list[ChainEnd]

    @classmethod
    def of(cls, found: ChainsVerified) -> "Verification":
        """The same as JSON."""
        return cls(
            intact=not found.broken,
            rows=found.rows,
            broken=[Broken.of(link) for link in found.broken],
            broken_total=found.broken_total,
            chains=[ChainEnd.of(chain, head) for chain, head in found.heads.items()],
        )
