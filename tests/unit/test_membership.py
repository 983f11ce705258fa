"""What changes in stored memberships, by table: times are small numbers of microseconds around now."""

from uuid import UUID

import numpy as np
import pytest

from services.segmenter.catalogue import PROFILE, Aspect, Catalogue, SegmentOffer
from services.segmenter.membership import Changes, Stored, StoredMembers, Users, arrange, changes_between
from shared.rules import RULE
from shared.validity import ALWAYS, NEVER

NOW = 1_000
SOON, NEXT_YEAR, LATER_STILL = NOW + 5, NOW + 10**9, NOW + 2 * 10**9
WITHIN = 100
OFFER, OTHER_OFFER, USER, OTHER_USER = (UUID(int=number) for number in (1, 2, 3, 4))
PAIR = (OFFER, USER)


def offer(offer_id: UUID = OFFER, rules_version: int = 7, *rules: tuple[str, dict[str, object]]) -> SegmentOffer:
    parsed = [
        RULE.validate_python({"rule_key": f"rule-{place}", "rule_type": rule_type, "params": params})
        for place, (rule_type, params) in enumerate(rules or [("min_topups", {"count": 1})])
    ]
    return SegmentOffer(offer_id, rules_version, "all", tuple(parsed))


def change(held_until: int, current: bool, verdict: int) -> Changes:
    stored = Stored(np.array([[held_until]]), np.array([[current]]), [])
    return changes_between(stored, np.array([[verdict]]), [offer()], Users([USER]), NOW, WITHIN)


WRITE, KEEP = True, False


@pytest.mark.parametrize(
    ("held_until", "current", "verdict", "written", "entered", "left_at"),
    [
        pytest.param(NEVER, False, NEVER, KEEP, False, None, id="neither a member nor to become one"),
        pytest.param(NEVER, False, NOW, KEEP, False, None, id="over at this very instant"),
        pytest.param(NEVER, False, SOON, WRITE, True, None, id="becomes a member"),
        pytest.param(SOON, True, SOON, KEEP, False, None, id="nothing changed"),
        pytest.param(ALWAYS, True, ALWAYS, KEEP, False, None, id="a member for ever"),
        pytest.param(SOON, False, SOON, WRITE, False, None, id="still a member, by newer rules"),
        pytest.param(NEXT_YEAR, True, SOON, WRITE, False, None, id="ends sooner"),
        pytest.param(SOON, True, NEXT_YEAR, WRITE, False, None, id="holds longer, and would have ended soon"),
        pytest.param(NEXT_YEAR, True, LATER_STILL, KEEP, False, None, id="holds longer, which can wait"),
        pytest.param(NEXT_YEAR, False, LATER_STILL, WRITE, False, None, id="holds longer, by newer rules"),
        pytest.param(NEXT_YEAR, True, NEVER, KEEP, False, NOW, id="lost by an event"),
        pytest.param(NOW - 9, True, NOW - 9, KEEP, False, NOW - 9, id="came to its end"),
        pytest.param(NOW - 9, True, NOW - 2, KEEP, False, NOW - 2, id="came to its end, later than written"),
        pytest.param(NOW - 9, True, SOON, WRITE, False, None, id="an extension was put off: it never ended"),
        pytest.param(NOW - 9, False, SOON, WRITE, True, NOW - 9, id="ended by older rules, begins by newer"),
        pytest.param(NOW - 9, False, NEVER, KEEP, False, NOW - 9, id="ended by older rules"),
    ],
)
def test_one_membership(
    held_until: int, current: bool, verdict: int, written: bool, entered: bool, left_at: int | None
) -> None:
    changes = change(held_until, current, verdict)
    assert changes.upserts == ([(PAIR, verdict, 7)] if written else [])
    assert changes.entered == ([(PAIR, verdict)] if entered else [])
    assert changes.departed == ([] if left_at is None else [(PAIR, left_at)])


def test_who_is_promised_less_than_the_truth_is_named() -> None:
    assert change(NEXT_YEAR, True, LATER_STILL).postponed == [USER]
    assert change(SOON, True, LATER_STILL).postponed == []


def test_rows_are_laid_out_by_offer_and_user_and_rows_of_other_offers_end() -> None:
    gone, late = UUID(int=9), 30
    rows = StoredMembers(
        offer=np.array([OTHER_OFFER.bytes, gone.bytes, OFFER.bytes, gone.bytes], dtype="S16"),
        user=np.array([1, 0, 0, 1]),
        valid_until_us=np.array([SOON, NOW - late, ALWAYS, NEXT_YEAR]),
        rules_version=np.array([7, 7, 6, 7]),
    )
    catalogue, users = Catalogue((offer(OFFER), offer(OTHER_OFFER))), Users([USER, OTHER_USER])
    stored = arrange(rows, catalogue, users)
    assert stored.valid_until_us.tolist() == [[ALWAYS, NEVER], [NEVER, SOON]]
    assert stored.current.tolist() == [[False, False], [False, True]]
    verdicts = np.array([[ALWAYS, NEVER], [NEVER, SOON]])
    changes = changes_between(stored, verdicts, catalogue.offers, users, NOW)
    assert changes.upserts == [(PAIR, ALWAYS, 7)]
    assert changes.departed == [((gone, USER), NOW - late), ((gone, OTHER_USER), NOW)]
    assert changes.entered == []


def test_an_empty_catalogue_ends_every_row() -> None:
    rows = StoredMembers(np.array([UUID(int=0).bytes], dtype="S16"), np.array([0]), np.array([SOON]), np.array([1]))
    users = Users([USER])
    changes = changes_between(arrange(rows, Catalogue(()), users), np.empty((0, 1), dtype=np.int64), [], users, NOW)
    assert changes.departed == [((UUID(int=0), USER), NOW)]


def test_users_with_a_row_whose_time_has_come() -> None:
    rows = StoredMembers(
        offer=np.array([OFFER.bytes] * 4, dtype="S16"),
        user=np.array([3, 1, 3, 0]),
        valid_until_us=np.array([NOW, NOW + 1, NOW - 1, ALWAYS]),
        rules_version=np.array([7] * 4),
    )
    assert rows.lapsed_users(NOW) == [3]


OPERATOR, ELSEWHERE = UUID(int=20), UUID(int=21)


@pytest.mark.parametrize(
    ("rule_type", "params", "concerned"),
    [
        ("new_user", {"account_age_days": 3}, {"a registration"}),
        ("min_topups", {"count": 1}, {"a topup", "a topup elsewhere"}),
        ("min_transactions", {"count": 1}, {"a topup", "a topup elsewhere", "a purchase"}),
        ("min_spent", {"amount": "1.00"}, {"a topup", "a topup elsewhere", "a purchase"}),
        ("active_days", {"count": 1}, {"a topup", "a topup elsewhere", "a purchase"}),
        ("last_active_within", {"window_days": 1}, {"a topup", "a topup elsewhere", "a purchase"}),
        ("operator_topup_count", {"count": 1, "operator_id": OPERATOR}, {"a topup"}),
        ("operator_spent", {"amount": "1.00", "operator_id": OPERATOR}, {"a topup", "a purchase"}),
    ],
)
def test_which_events_an_offer_can_be_concerned_by(
    rule_type: str, params: dict[str, object], concerned: set[str]
) -> None:
    catalogue = Catalogue((offer(OFFER, 1, (rule_type, params)),))
    events: dict[str, frozenset[Aspect]] = {
        "a registration": frozenset({PROFILE}),
        "a topup": frozenset({"topup", "transaction", ("topup", OPERATOR), ("transaction", OPERATOR)}),
        "a topup elsewhere": frozenset({"topup", "transaction", ("topup", ELSEWHERE), ("transaction", ELSEWHERE)}),
        "a purchase": frozenset({"transaction", ("transaction", OPERATOR)}),
    }
    assert {event for event, aspects in events.items() if catalogue.resting_on(aspects)} == concerned


def test_an_offer_that_is_not_open_to_all_depends_on_roles_too() -> None:
    closed = SegmentOffer(OFFER, 1, "all", offer().rules, allow_all=False, allowed_roles=frozenset({"agent"}))
    assert Catalogue((closed,)).resting_on(frozenset({PROFILE})) == (0,)
    assert Catalogue((offer(),)).resting_on(frozenset({PROFILE})) == ()
