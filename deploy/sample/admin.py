"""Creates the sample's offers through the admin HTTP API, as marketing's tools do."""

import asyncio
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

from deploy.embedded.addresses import Addresses
from deploy.sample.offers import UNPUBLISHED, Draft
from shared.errors import OffersError

TIMEOUT_S = 15.0


async def create_offers(addresses: Addresses, drafts: Sequence[Draft]) -> None:
    """Create the offers and publish all but the one that stays a draft.

    Raises:
        OffersError: the API refused something; with what it said.
    """
    for draft in drafts:
        created = await asyncio.to_thread(_post, addresses, "/api/offers", draft)
        if draft["code"] != UNPUBLISHED:
            await asyncio.to_thread(_post, addresses, f"/api/offers/{created['id']}/publish", {})


def _post(addresses: Addresses, path: str, body: Draft) -> dict[str, Any]:
    request = urllib.request.Request(
        addresses.admin_url + path,
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {addresses.admin_token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except urllib.error.HTTPError as error:
        raise OffersError(f"POST {path}: {error.code} {error.read().decode(errors='replace')}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise OffersError(f"POST {path}: {error!r}") from error
