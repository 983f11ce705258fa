"""Names the sample's operators and creates its offers through the admin HTTP API, as marketing's tools do."""

import asyncio
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from deploy.sample.offers import UNPUBLISHED, Draft
from deploy.sample.system import System
from shared.errors import OffersError

TIMEOUT_S = 15.0


async def name_operators(system: System, operators: Mapping[str, UUID]) -> None:
    """Tell the API which name each operator has.

    Raises:
        OffersError: the API refused something; with what it said.
    """
    for name, operator_id in operators.items():
        await asyncio.to_thread(_send, system, "PUT", f"/api/operators/{operator_id}", {"name": name})


async def create_offers(system: System, drafts: Sequence[Draft]) -> None:
    """Create the offers and publish all but the one that stays a draft.

    Raises:
        OffersError: the API refused something; with what it said.
    """
    for draft in drafts:
        created = await asyncio.to_thread(_send, system, "POST", "/api/offers", draft)
        if draft["code"] != UNPUBLISHED:
            await asyncio.to_thread(_send, system, "POST", f"/api/offers/{created['id']}/publish", {})


def _send(system: System, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        system.admin_url + path,
        method=method,
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {system.admin_token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except urllib.error.HTTPError as error:
        raise OffersError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise OffersError(f"{method} {path}: {error!r}") from error
