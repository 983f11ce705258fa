"""Testing users over HTTP: one against one offer, against all of them, or against rules not saved."""

from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from services.admin import judging
from services.admin.access import Access
from services.admin.editing import OfferNotFound
from services.admin.models import Eligibility, OfferMoment, Status
from services.admin.requests import explain_refusal
from services.admin.user_models import OfferTestPage, Trial, UserFacts, Verdict
from shared.database import Pool
from shared.events.fields import Text
from shared.http.problems import documented, refuse
from shared.security import Role

TESTS_MAX: Final = 100
At = Annotated[OfferMoment | None, Query(description="where the clock stands; now unless given")]
_DENIED = documented(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_INVALID = documented(HTTPStatus.UNPROCESSABLE_ENTITY)
_READ_ONE = documented(HTTPStatus.NOT_FOUND) | _INVALID
_TRY = documented(HTTPStatus.BAD_REQUEST) | _INVALID


def user_routes(pool: Pool, access: Access) -> APIRouter:
    """What viewers may ask of users; nothing is stored."""
    routes = APIRouter(tags=["users"], dependencies=[Depends(access.caller(Role.viewer))], responses=_DENIED)

    @routes.get("/api/users/{user_id}", responses=_READ_ONE, operation_id="get_user")
    async def get_user(user_id: UUID) -> UserFacts:
        """What is known of a user, with their newest transactions."""
        found = await judging.find_user(pool, user_id)
        return found or refuse(HTTPStatus.NOT_FOUND, "no event named this user yet")

    @routes.get("/api/users/{user_id}/eligibility", responses=_INVALID, operation_id="test_user")
    async def test_user(
        user_id: UUID,
        at: At = None,
        status: Status | None = None,
        q: Annotated[Text | None, Query(description="part of a code or title, in any case")] = None,
        after: Annotated[UUID | None, Query(description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=TESTS_MAX)] = 50,
    ) -> OfferTestPage:
        """One user against the offers, a page at a time: which they may use, each rule's verdict, and what is missing.
        A user nobody knows is tested too."""
        return await judging.judge_page(pool, user_id, at, status, q, after, limit)

    @routes.get("/api/offers/{offer_id}/eligibility/{user_id}", responses=_READ_ONE, operation_id="explain")
    async def explain(offer_id: UUID, user_id: UUID, at: At = None) -> Eligibility:
        """Whether a user may use an offer, with each rule's verdict."""
        found = await judging.judge_offer(pool, offer_id, user_id, at)
        return Eligibility.model_validate(found.model_dump()) if found else explain_refusal(OfferNotFound())

    @routes.post("/api/offers/test", responses=_TRY, operation_id="test_rules")
    async def test_rules(wanted: Trial) -> Verdict:
        """Whether a user could use an offer with these rules, which are saved nowhere."""
        return await judging.judge_rules(pool, wanted)

    return routes
