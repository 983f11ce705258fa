"""The design's cron over the same data: each offer's members deleted, and every user asked again."""

import time
from collections.abc import Sequence
from uuid import UUID

from deploy.bench.segmenter.preparing import queries
from shared.database import Connection


def evenly_drawn(offers: Sequence[UUID], count: int) -> list[UUID]:
    """`count` of the offers at even distances, so over the kinds of rules."""
    return [offers[(2 * place + 1) * len(offers) // (2 * count)] for place in range(count)]


async def prepare_recompute(connection: Connection, offers: Sequence[UUID]) -> None:
    """Make the cron's table, holding what its previous run left of these offers."""
    await connection.execute(queries.create_recomputed)
    await connection.execute(queries.fill_recomputed, offers)


async def recompute(connection: Connection, offers: Sequence[UUID]) -> float:
    """Run the cron for these offers, a transaction each; the seconds it took."""
    started = time.perf_counter()
    for offer_id in offers:
        async with connection.transaction():
            await connection.execute(queries.clear_offer, offer_id)
            await connection.execute(queries.recompute_offer, offer_id)
    return time.perf_counter() - started
