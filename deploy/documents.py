"""Generates the documents under docs/ from the code: AsyncAPI of the topics, OpenAPI of the HTTP APIs, rules.

`python -m deploy.documents` writes them; with `--check` it writes nothing and fails if one is not current.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI

from services.admin import app as admin
from services.audit import app as audit
from services.redemption import app as redemption
from services.segmenter import app as segmenter
from shared.broker import Publisher
from shared.database import create_pool
from shared.events.audit_events import AuditEvent
from shared.events.offers_changed import OfferChanged
from shared.rules import json_schema
from shared.subscriptions import Subscriptions
from shared.topics import AUDIT_EVENTS, OFFERS_CHANGED

FOLDER = Path(__file__).parent.parent / "docs"
NOWHERE = {
    "database_url": "postgresql://localhost",
    "kafka_bootstrap_servers": "localhost:9092",
}


def _redemption() -> KafkaBroker:
    settings = redemption.RedemptionSettings.model_validate(NOWHERE | {"redis_url": "redis://localhost"})
    return redemption.wire(settings, create_pool(settings, "docs"), Publisher(settings, "docs"))


def _segmenter() -> KafkaBroker:
    settings = segmenter.SegmenterSettings.model_validate(NOWHERE)
    publisher = Publisher(settings, "docs")
    handler = segmenter.create_segmenter(create_pool(settings, "docs"), publisher).handler
    return segmenter.wire(settings, handler, publisher)


def _audit() -> KafkaBroker:
    settings = audit.AuditSettings.model_validate(NOWHERE)
    return audit.wire(settings, create_pool(settings, "docs"), Publisher(settings, "docs"))


def _admin() -> KafkaBroker:
    broker = Subscriptions(admin.AdminSettings.model_validate(NOWHERE | {"redis_url": "redis://localhost"}), "admin")
    broker.publisher(OFFERS_CHANGED, schema=OfferChanged, title="OffersChanged")
    broker.publisher(AUDIT_EVENTS, schema=AuditEvent, title="AuditEvents")
    return broker


def _asyncapi(service: str, broker: KafkaBroker) -> dict[str, Any]:
    document = AsyncAPI(broker, title=f"Offers: {service} service", version="1.0.0")
    specification: dict[str, Any] = json.loads(document.to_specification().to_json())
    return specification


BROKERS: dict[str, Callable[[], KafkaBroker]] = {
    "redemption": _redemption,
    "segmenter": _segmenter,
    "audit": _audit,
    "admin": _admin,
}


async def documents() -> dict[Path, str]:
    """Every document's text by its path."""
    contents = {
        **{FOLDER / "asyncapi" / f"{name}.json": _asyncapi(name, create()) for name, create in BROKERS.items()},
        FOLDER / "openapi" / "admin.json": admin.openapi(),
        FOLDER / "openapi" / "audit.json": audit.openapi(),
        FOLDER / "eligibility-rule.schema.json": json_schema(),
    }
    return {
        path: json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        for path, content in contents.items()
    }


def main() -> int:
    """Write the documents, or check them."""
    texts = asyncio.run(documents())
    if "--check" in sys.argv[1:]:
        stale = [path for path, text in texts.items() if not path.exists() or path.read_text("utf-8") != text]
        for path in stale:
            sys.stderr.write(f"{path.relative_to(FOLDER.parent)} is not current: run python -m deploy.documents\n")
        return 1 if stale else 0
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
