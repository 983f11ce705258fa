"""Offers' definitions, remembered between batches: in the process, and in Redis for all workers.

PostgreSQL says in every batch which version of a definition is the present one, so that a remembered one is
used only if it is that. Nothing rests on the cache but how much must be read and parsed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Protocol
from uuid import UUID

import orjson
from asyncpg import Record
from pydantic import TypeAdapter, ValidationError

from services.redemption.decision import Offer, ProductTerms
from shared import metrics
from shared.database import Connection
from shared.sqlfile import load_queries

LEASE_S: Final = 60
"""How long Redis keeps what nobody says has changed."""
OFFERS_MAX: Final = 20_000

Version = tuple[int, int]
"""Of an offer's definition and of its rules, as PostgreSQL counts their changes."""

_queries = load_queries(__file__)
_OFFER_COLUMNS: Final = [column.name for column in fields(Offer) if column.name != "products"]


class Store(Protocol):
    """Where definitions are kept for other workers; see shared/cache.py."""

    async def get(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """What is there of these keys."""
        ...

    async def put(self, values: Mapping[str, bytes], lease_s: int) -> None:
        """Keep values for so long."""
        ...

    async def drop(self, keys: Sequence[str]) -> None:
        """Forget keys."""
        ...


@dataclass(frozen=True, slots=True)
class Definition:
    """What an offer is, apart from its use so far."""

    version: Version
    offer: Offer
    has_rules: bool
    allow_all: bool


_DEFINITION: Final = TypeAdapter(Definition)
_PRODUCTS: Final = TypeAdapter(tuple[ProductTerms, ...])


class Catalogue:
    """Definitions by offer id, and offers' ids by code."""

    def __init__(self, store: Store | None = None) -> None:
        self._store = store
        self._known: dict[UUID, Definition] = {}
        self._ids: dict[str, UUID] = {}

    async def ids_of(self, codes: Collection[str]) -> dict[str, UUID]:
        """The offers that codes were last seen to name. A code may have been given to another offer since."""
        found = {code: self._ids[code] for code in codes if code in self._ids}
        missing = [code for code in codes if code not in found]
        if missing and self._store is not None:
            cached = await self._store.get([_code_key(code) for code in missing])
            for code in missing:
                offer_id = _read_id(cached.get(_code_key(code)))
                if offer_id is not None:
                    found[code] = offer_id
        return found

    async def definitions(self, connection: Connection, versions: Mapping[UUID, Version]) -> dict[UUID, Definition]:
        """The definitions of offers, which are of these versions at present."""
        found = {offer_id: known for offer_id in versions if (known := self._known.get(offer_id)) is not None}
        missing = [offer_id for offer_id in versions if not _is(found.get(offer_id), versions[offer_id])]
        _count("memory", len(versions) - len(missing))
        if not missing:
            return found
        asked = len(missing)
        cached = await self._cached(missing)
        found |= {offer_id: known for offer_id, known in cached.items() if _is(known, versions[offer_id])}
        missing = [offer_id for offer_id in missing if not _is(found.get(offer_id), versions[offer_id])]
        _count("redis", asked - len(missing))
        _count("database", len(missing))
        loaded = await _load(connection, missing) if missing else {}
        found |= loaded
        self._remember(found)
        await self._share(loaded)
        return {offer_id: known for offer_id, known in found.items() if offer_id in versions}

    async def forget(self, offer_ids: Collection[UUID]) -> None:
        """These offers were changed."""
        for offer_id in offer_ids:
            self._known.pop(offer_id, None)
        if self._store is not None:
            await self._store.drop([_offer_key(offer_id) for offer_id in offer_ids])

    async def _cached(self, ids: Sequence[UUID]) -> dict[UUID, Definition]:
        if self._store is None:
            return {}
        cached = await self._store.get([_offer_key(offer_id) for offer_id in ids])
        read = {offer_id: _read_definition(cached.get(_offer_key(offer_id))) for offer_id in ids}
        return {offer_id: known for offer_id, known in read.items() if known is not None}

    def _remember(self, definitions: Mapping[UUID, Definition]) -> None:
        if len(self._known) + len(definitions) > OFFERS_MAX:
            self._known.clear()
            self._ids.clear()
        self._known |= definitions
        self._ids |= {known.offer.code: offer_id for offer_id, known in definitions.items()}

    async def _share(self, definitions: Mapping[UUID, Definition]) -> None:
        if self._store is None:
            return
        values = {_offer_key(offer_id): _write_definition(known) for offer_id, known in definitions.items()}
        values |= {_code_key(known.offer.code): str(offer_id).encode() for offer_id, known in definitions.items()}
        await self._store.put(values, LEASE_S)


def _count(found: str, count: int) -> None:
    if count:
        metrics.CATALOGUE_LOOKUPS.labels(found).inc(count)


def _is(known: Definition | None, version: Version) -> bool:
    return known is not None and known.version == version


def _offer_key(offer_id: UUID) -> str:
    return f"offers:definition:{offer_id}"


def _code_key(code: str) -> str:
    return f"offers:code:{code}"


def _read_id(value: bytes | None) -> UUID | None:
    try:
        return UUID(value.decode()) if value else None
    except ValueError:
        return None


def _write_definition(known: Definition) -> bytes:
    return orjson.dumps(asdict(known), default=str)


def _read_definition(value: bytes | None) -> Definition | None:
    try:
        return _DEFINITION.validate_json(value) if value else None
    except ValidationError:  # Another release wrote it: as good as nothing.
        return None


async def _load(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Definition]:
    rows = await connection.fetch(_queries.load_definitions, ids)
    return {row["id"]: _definition(row) for row in rows}


def _definition(row: Record) -> Definition:
    columns: dict[str, Any] = {name: row[name] for name in _OFFER_COLUMNS}
    return Definition(
        version=(row["definition_version"], row["rules_version"]),
        offer=Offer(**columns, products=_PRODUCTS.validate_python(row["products"])),
        has_rules=row["has_rules"],
        allow_all=row["allow_all"],
    )
