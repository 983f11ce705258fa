"""Hypothesis strategies for the life of a book: few offers, users and products, so that limits are reached."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Literal, TypeVar

from hypothesis import strategies as st

from tests.support.book_steps import (
    TICK,
    Allowance,
    Batch,
    Edit,
    Limits,
    NamedProduct,
    Naming,
    Open,
    Pass,
    Products,
    Purchase,
    ReachEdge,
    Redelivery,
    Repeat,
    Revision,
    Revocation,
    Saving,
    Step,
    Topup,
    Window,
)

OFFERS: Final = 2
ROLES: Final = ("agent", "staff")
"""One user each."""
STEPS_MAX: Final = 24
BATCH_MAX: Final = 8

T = TypeVar("T")
HOUR: Final = timedelta(hours=1)


def _weighted(*choices: tuple[int, st.SearchStrategy[T]]) -> st.SearchStrategy[T]:
    return st.sampled_from([kind for weight, kind in choices for _ in range(weight)]).flatmap(lambda kind: kind)


_users = st.integers(0, len(ROLES) - 1)
_near = st.sampled_from([timedelta(0), TICK, -TICK, HOUR])
_deadlines = _weighted((9, st.none()), (2, _near))
_spellings = st.sampled_from(["plain", "plain", "other"])
_prices = st.sampled_from([10_000, 1_999, 3_333, 1, 5, 0, 999_999])

_quantities = st.sampled_from([1, 1, 1, 1, 1, 1, 2, 2, 3, 3, 7, 7, 0])


def _asking(
    command: Literal["redeem", "quote"],
    named: st.SearchStrategy[Naming],
    deadlines: st.SearchStrategy[timedelta | None],
) -> st.SearchStrategy[Purchase]:
    return st.builds(
        Purchase,
        command=st.just(command),
        offer=st.sampled_from([0, 0, 0, 0, 0, 0, 1, 1, 1, OFFERS]),
        named=named,
        user=_users,
        product=st.sampled_from([0, 0, 1, None]),
        mapping=st.sampled_from([0, 0, 1, None]),
        quantity=_quantities,
        unit_cents=_prices,
        deadline_in=deadlines,
        spelling=_spellings,
    )


_purchases = _weighted(
    (6, _asking("redeem", st.sampled_from(["id", "code"]), _deadlines)),
    (1, _asking("quote", st.sampled_from(["id", "code"]), _deadlines)),
    (1, _asking("quote", st.just("not"), st.none() | _near)),
)
_revocations = st.builds(
    Revocation,
    which=st.integers(0, 4),
    by=st.sampled_from(
        ["request", "request", "request", "redemption", "redemption", "redemption", "redemption", "both"]
    ),
    deadline_in=_deadlines,
)
_repeats = st.builds(
    Repeat,
    which=st.integers(0, 6),
    change=st.sampled_from(["none", "none", "none", "none", "none", "quantity", "user", "naming", "revoke", "invalid"]),
    deadline_in=_deadlines,
    spelling=_spellings,
)
_batches = st.builds(
    Batch,
    st.lists(_weighted((5, _purchases), (2, _revocations), (2, _repeats)), min_size=2, max_size=BATCH_MAX).map(tuple),
)

_products_by_operator = [(0, None), (1, None), (0, 0)]
_products_by_supplier = [(None, 0), (None, 1), (0, 0)]


def _named_products(ids: Sequence[tuple[int | None, int | None]]) -> st.SearchStrategy[tuple[NamedProduct, ...]]:
    """Some of these products. Of two that fit a purchase, one always fits more precisely."""
    own_prices = st.sampled_from([None, None, 0, 1_500, 2_001, 9_900])
    terms = [
        st.builds(NamedProduct, st.just(product), st.just(mapping), own_prices, st.sampled_from([None, 1, 2]))
        for product, mapping in ids
    ]
    some = st.tuples(*(st.one_of(one, one, st.none()) for one in terms))
    return some.map(lambda drawn: tuple(named for named in drawn if named is not None))


_starts = st.sampled_from([None, -HOUR, timedelta(0), TICK, 2 * TICK])
_ends = st.sampled_from([None, -TICK, timedelta(0), TICK, HOUR, HOUR])
_lasts = st.sampled_from([TICK, 2 * TICK, 2 * HOUR])


@st.composite
def _windows(draw: st.DrawFn) -> Window:
    starts_in = draw(_starts)
    if starts_in is None:
        return Window(None, draw(_ends))
    return Window(starts_in, draw(st.one_of(st.none(), _lasts.map(lambda lasts: starts_in + lasts))))


_savings = st.one_of(
    st.builds(Saving, st.just("percentage"), st.sampled_from([1_000, 1_250, 3_333, 5_000, 10_000, 0])),
    st.builds(Saving, st.just("fixed_amount"), st.sampled_from([2_500, 1, 0, 10_001])),
    st.builds(Saving, st.just("price_override"), st.sampled_from([2_000, 1_500, 0, 10_001])),
)
_revisions: st.SearchStrategy[Revision] = _weighted(
    (1, st.builds(Open, st.sampled_from(["active", "active", "active", "paused", "archived", "draft"]))),
    (3, st.builds(Limits, st.sampled_from([None, 1, 1, 2]), st.sampled_from([None, 0, 1, 2]))),
    (2, _windows()),
    (2, _savings),
    (
        2,
        st.builds(
            Products,
            st.booleans(),
            _named_products(_products_by_operator) | _named_products(_products_by_supplier),
        ),
    ),
    (
        2,
        st.builds(
            Allowance,
            allow_all=st.sampled_from([True, False, False]),
            users=st.lists(_users, unique=True, max_size=1).map(tuple),
            roles=st.lists(st.sampled_from(ROLES), unique=True, max_size=1).map(tuple),
            topups_needed=st.sampled_from([None, 1, 2]),
        ),
    ),
)
_edits = st.builds(Edit, st.sampled_from([0, 0, 0, 1]), _revisions)
_waits = _weighted(
    (3, st.builds(Pass, st.sampled_from([timedelta(0), timedelta(0), TICK, HOUR]))),
    (2, st.builds(ReachEdge, st.just("window"), st.integers(-1, 1))),
    (1, st.builds(ReachEdge, st.just("deadline"), st.integers(-1, 1))),
)
_doing = _weighted(
    (6, _batches),
    (4, _edits),
    (1, st.builds(Redelivery, st.integers(0, 3))),
    (1, st.builds(Topup, _users)),
)
AT_ONCE: Final = Pass(timedelta(0))
_beginnings = st.lists(st.builds(Step, st.just(AT_ONCE), _edits), max_size=4)
_steps = st.lists(st.builds(Step, _waits, _doing), min_size=6, max_size=STEPS_MAX)
lives = st.builds(lambda beginning, steps: [*beginning, *steps], _beginnings, _steps)
