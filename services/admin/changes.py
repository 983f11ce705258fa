"""Pure rules of an offer's life: which status may follow which, and what a change looks like to a reader."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from services.admin.models import Offer, Status

Action = Literal["publish", "pause", "archive"]
ChangeType = Literal["offer.created", "offer.updated", "offer.published", "offer.paused", "offer.archived"]

LISTED_MAX: Final = 100
"""How many ids of a long list an audit event names; beyond it only counts, so that the event fits a message."""

_TARGET: Final[dict[Action, Status]] = {"publish": "active", "pause": "paused", "archive": "archived"}
_FROM: Final[dict[Action, frozenset[Status]]] = {
    "publish": frozenset({"draft", "paused"}),
    "pause": frozenset({"active"}),
    "archive": frozenset({"draft", "active", "paused"}),
}
_EVENT: Final[dict[Action, ChangeType]] = {
    "publish": "offer.published",
    "pause": "offer.paused",
    "archive": "offer.archived",
}
_BULK: Final = ("products", "allowed_users")
_NOT_CONTENT: Final = {"id", "version", "rules_version", "usage_count", "created_at", "created_by", "updated_at"}


def next_status(action: Action, status: Status) -> Status | None:
    """The status an action leads to; None where it is not allowed."""
    return _TARGET[action] if status in _FROM[action] else None


def event_type(action: Action) -> ChangeType:
    """What the event of an action is called."""
    return _EVENT[action]


def describe_change(before: Offer | None, after: Offer) -> dict[str, Any]:
    """The changed fields with what they were and are; long lists as counts and the first ids added and removed."""
    changes = _plain_changes(before, after)
    for name in _BULK:
        change = _bulk_change(_entries(before, name), _entries(after, name))
        if change is not None:
            changes[name] = change
    return {"version": after.version, "rules_version": after.rules_version, "changes": changes}


def _plain_changes(before: Offer | None, after: Offer) -> dict[str, Any]:
    skipped = _NOT_CONTENT.union(_BULK)
    new = after.model_dump(mode="json", exclude=skipped)
    old = before.model_dump(mode="json", exclude=skipped) if before else dict.fromkeys(new)
    return {name: {"before": old[name], "after": new[name]} for name in new if old[name] != new[name]}


def _entries(offer: Offer | None, name: str) -> list[Any]:
    return list(getattr(offer, name)) if offer else []


def _bulk_change(before: Sequence[Any], after: Sequence[Any]) -> dict[str, Any] | None:
    old, new = set(before), set(after)
    if old == new:
        return None
    added = [entry for entry in after if entry not in old]
    removed = [entry for entry in before if entry not in new]
    return {
        "before": len(before),
        "after": len(after),
        "added": [_readable(entry) for entry in added[:LISTED_MAX]],
        "removed": [_readable(entry) for entry in removed[:LISTED_MAX]],
    }


def _readable(entry: Any) -> Any:
    return entry.model_dump(mode="json", exclude_none=True) if hasattr(entry, "model_dump") else str(entry)
