"""Judges one user by stored offers, or by rules that are stored nowhere: runs judging.sql."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from services.admin.models import Status
from services.admin.standing import first_reason
from services.admin.user_models import OfferTest, OfferTestPage, Trial, UserFacts, Verdict
from services.admin.wording import Operators, rule_sentence
from shared.database import Connection, Pool
from shared.sqlfile import load_queries

Source = Pool | Connection
TRANSACTIONS_SHOWN: Final = 20

_queries = load_queries(__file__, "judging.sql")


async def judge_page(
    source: Source,
    user_id: UUID,
    at: datetime | None,
    status: Status | None,
    search: str | None,
    after: UUID | None,
    limit: int,
) -> OfferTestPage:
    """How at most `limit` offers stand towards a user, after the one `after` names."""
    rows = await source.fetch(_queries.page_of_offers, status, search, after, limit + 1)
    ids = [row["id"] for row in rows]
    items = await _judge_offers(source, ids[:limit], user_id, at)
    return OfferTestPage(items=items, next=ids[limit - 1] if len(ids) > limit else None)


async def judge_offer(source: Source, offer_id: UUID, user_id: UUID, at: datetime | None) -> OfferTest | None:
    """How one offer stands towards a user; None if there is no such offer."""
    return next(iter(await _judge_offers(source, [offer_id], user_id, at)), None)


async def judge_rules(source: Source, wanted: Trial) -> Verdict:
    """How rules that are stored nowhere judge a user."""
    rules = [rule.model_dump(mode="json") for rule in wanted.enabled_rules]
    row = await source.fetchrow(
        _queries.judge_rules,
        rules,
        wanted.eligibility_logic,
        wanted.user_id,
        wanted.at,
        wanted.allow_all,
        wanted.allowed_users,
        wanted.allowed_roles,
    )
    assert row is not None, "aggregates always have a row"
    judged = in_words(row["verdicts"], rules, await operator_names(source))
    known = {"user_id": wanted.user_id, "eligibility_logic": wanted.eligibility_logic, "rules": judged}
    return Verdict.model_validate({**row, **known})


async def find_user(source: Source, user_id: UUID) -> UserFacts | None:
    """What is known of a user; None if no event named them."""
    row = await source.fetchrow(_queries.find_user, user_id)
    if row is None:
        return None
    recent = await source.fetch(_queries.recent_transactions, user_id, TRANSACTIONS_SHOWN)
    return UserFacts.model_validate({**row, "transactions": [dict(each) for each in recent]})


async def operator_names(source: Source) -> dict[UUID, str]:
    """What the operators that have names are called."""
    return {row["id"]: row["name"] for row in await source.fetch(_queries.operator_names)}


def in_words(
    verdicts: Iterable[Mapping[str, Any]], rules: Iterable[Mapping[str, Any]], operators: Operators
) -> list[dict[str, Any]]:
    """Rules' verdicts, each with what its rule asks for."""
    return [
        {**verdict, "sentence": rule_sentence(rule["rule_type"], rule["params"], operators)}
        for verdict, rule in zip(verdicts, rules, strict=True)
    ]


async def _judge_offers(source: Source, ids: Sequence[UUID], user_id: UUID, at: datetime | None) -> list[OfferTest]:
    rows = await source.fetch(_queries.judge_offers, ids, user_id, at)
    operators = await operator_names(source) if rows else {}
    return [
        OfferTest.model_validate(
            {
                **row,
                "user_id": user_id,
                "rules": in_words(row["verdicts"], row["stored_rules"], operators),
                "reason": first_reason(dict(row), row["at"]),
            }
        )
        for row in rows
    ]
