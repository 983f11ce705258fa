"""The versions an offer had: kept with every change, to compare with and to return to."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.admin.changes import ChangeType
from services.admin.content import Content, content_of
from services.admin.models import Offer
from shared.database import Connection, Pool
from shared.sqlfile import load_queries

_queries = load_queries(__file__, "drafts.sql")


@dataclass(frozen=True, slots=True)
class Version:
    """What an offer was. Of its allowed users only the number is kept."""

    version: int
    change: ChangeType
    content: Content
    allowed_users: int
    made_by: str
    made_at: datetime

    def content_for(self, offer: Offer) -> Content:
        """What a draft that returns to this version holds: everything but the offer's code, which checkouts know."""
        return self.content | {"code": offer.code}


async def keep_version(connection: Connection, offer: Offer, change: ChangeType, made_by: str) -> None:
    """Keep what the offer is now, in the transaction that made it so."""
    kept = content_of(offer), len(offer.allowed_users), made_by
    await connection.execute(_queries.add_version, offer.id, offer.version, change, *kept)


async def find_version(source: Pool | Connection, offer_id: UUID, version: int) -> Version | None:
    """What the offer was at a version, where it is known: offers made by other programs have none at first."""
    row = await source.fetchrow(_queries.find_version, offer_id, version)
    return Version(**row) if row else None


async def list_versions(source: Pool | Connection, offer_id: UUID, before: int | None, limit: int) -> list[Version]:
    """At most `limit` versions, newest first, those before a given one."""
    return [Version(**row) for row in await source.fetch(_queries.list_versions, offer_id, before, limit)]
