"""Adds an access list to a cluster, over Kafka's own protocol. Entries that are there already stay as they are."""

import asyncio
from collections.abc import Sequence
from typing import Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest

from deploy.kafka.acls import Entry
from shared.broker import client_options
from shared.errors import DeliveryError
from shared.reaching import start_client
from shared.settings import KafkaSettings

_ALLOW: Final = 3
_ANY_HOST: Final = "*"


class _Admin:
    """A client that starts as the others do."""

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client

    async def start(self) -> None:
        await self._client.bootstrap()


async def add_entries(settings: KafkaSettings, entries: Sequence[Entry]) -> None:
    """Add the entries, all that are missing.

    Raises:
        DeliveryError: the cluster doesn't let us in, keeps no access list, or this login may not change it.
    """
    options = client_options(settings)
    client = AIOKafkaClient(**options, client_id="offers-acls")
    try:
        await start_client(_Admin(client), options)
        await asyncio.gather(*(_add(client, entry) for entry in entries))
    finally:
        await client.close()


async def _add(client: AIOKafkaClient, entry: Entry) -> None:
    request = CreateAclsRequest(
        resource_type=entry.resource.value,
        resource_name=entry.name,
        resource_pattern_type_filter=entry.pattern.value,
        principal=entry.principal,
        host=_ANY_HOST,
        operation=entry.operation.value,
        permission_type=_ALLOW,
    )
    response = await client.send(client.get_random_node(), request)
    for code, message in response.creation_responses:
        if code:
            error = message or for_code(code).__name__
            raise DeliveryError(f"{entry.operation.name} of {entry.name} for {entry.principal}: {error}")
