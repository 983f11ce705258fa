"""Hypothesis strategies for the life of segments: rules easily passed, and steps that meet at the edges of windows."""

from typing import Any

from hypothesis import strategies as st

from tests.properties.strategies import OPERATORS
from tests.support.segment_steps import (
    AT_ONCE,
    REBUILD_ALL,
    Age,
    Doing,
    Edit,
    Lapses,
    Nothing,
    OneTopup,
    OneUser,
    Pass,
    ReachLapse,
    Rebuild,
    Redelivery,
    Renewal,
    StatusChange,
    Step,
    TimerLook,
    Topups,
    Undoing,
    Users,
)

USERS = 3
OFFERS = 2
STEPS_MAX = 17
WINDOWS = [7, 2, 1]

_users = st.sampled_from([0, 0, 0, 1, 1, 2])
_offers = st.integers(0, OFFERS - 1)
_windows = {"window_days": st.sampled_from([*WINDOWS, *WINDOWS, None])}
_counts = {"count": st.sampled_from([1, 1, 1, 2])} | _windows
_amounts = {"amount": st.sampled_from(["10.00", "10.00", "60.00"])} | _windows
_operator = {"operator_id": st.sampled_from(OPERATORS[:2]).map(str)}


def _rule(rule_type: str, params: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"rule_type": st.just(rule_type), "params": st.fixed_dictionaries(params)})


@st.composite
def _weighted(draw: st.DrawFn, *choices: tuple[int, st.SearchStrategy[Any]]) -> Any:
    """One of the strategies, each drawn in proportion to its weight."""
    places = [place for place, (weight, _) in enumerate(choices) for _ in range(weight)]
    _, chosen = choices[draw(st.sampled_from(places))]
    return draw(chosen)


_rules = st.one_of(
    _rule("last_active_within", {"window_days": st.sampled_from(WINDOWS)}),
    _rule("min_topups", _counts),
    _rule("min_transactions", _counts),
    _rule("active_days", _counts),
    _rule("min_spent", _amounts),
    _rule("operator_topup_count", _counts | _operator),
    _rule("operator_spent", _amounts | _operator),
    _rule("new_user", {"account_age_days": st.sampled_from(WINDOWS)}),
)

_recent = st.builds(
    Age, st.sampled_from([0, 0, 1, 2, 7, -1]), st.integers(-1, 1), st.sampled_from([False, False, True])
)
_late = st.builds(Age, st.sampled_from([6, 30, 100]), st.integers(-1, 1), st.just(False))
_ages = _weighted((4, _recent), (1, _late))
_ranks = st.integers(0, 2)

_topups = st.builds(
    OneTopup,
    user=_users,
    topup=st.integers(0, 2),
    type=st.sampled_from([*["topup.succeeded"] * 4, "topup.failed", "topup.reversed"]),
    operator=st.sampled_from([0, 0, 0, 1]),
    kind=st.sampled_from(["topup", "topup", "topup", "purchase"]),
    amount=st.sampled_from(["10.00", "25.50", "50.00", "0.00"]),
    age=_ages,
    rank=_ranks,
)
_registrations = st.builds(
    OneUser,
    user=_users,
    registered=_ages,
    roles=st.sampled_from([("agent",), ("agent", "staff"), ()]),
    age=_ages,
    rank=_ranks,
)


def _edits(offers: st.SearchStrategy[int], rules_min: int) -> st.SearchStrategy[Edit]:
    return st.builds(
        Edit,
        offer=offers,
        rules=st.lists(_rules, min_size=rules_min, max_size=2).map(tuple),
        logic=st.sampled_from(["any", "any", "all"]),
        allow_all=st.sampled_from([True, True, False]),
        allowed_users=st.lists(_users, unique=True, max_size=2).map(tuple),
        allowed_roles=st.sampled_from([("agent",), ("agent",), ("staff",), ()]),
        told=st.booleans(),
    )


_rebuilds = st.builds(
    Rebuild,
    asked=st.booleans(),
    anyway=st.booleans(),
    chunk_users=st.integers(1, 2),
    chunks=st.one_of(st.none(), st.integers(0, 3)),
)
_status_changes = st.builds(
    StatusChange, _offers, st.sampled_from(["active", "active", "paused", "archived"]), st.booleans()
)


def _batch(most: int) -> st.SearchStrategy[Topups]:
    return st.builds(Topups, st.lists(_topups, min_size=1, max_size=most).map(tuple), times=st.integers(1, 2))


_good_topups = st.builds(
    OneTopup,
    user=st.integers(0, 1),
    topup=st.integers(0, 2),
    type=st.just("topup.succeeded"),
    operator=st.just(0),
    kind=st.just("topup"),
    amount=st.just("50.00"),
    age=st.builds(Age, st.sampled_from([0, 1, 2, 6]), st.integers(-1, 1)),
    rank=_ranks,
)
_doing = _weighted(
    (2, st.just(Nothing())),
    (2, st.just(Lapses())),
    (1, st.just(TimerLook())),
    (4, st.builds(Renewal, st.integers(0, 3), st.sampled_from([0, 0, 1]), st.sampled_from(["topup", "purchase"]))),
    (2, _batch(2)),
    (1, _batch(6)),
    (2, st.builds(Undoing, st.integers(0, 5), st.sampled_from(["topup.reversed", "topup.failed"]))),
    (2, st.builds(Users, st.lists(_registrations, min_size=1, max_size=2).map(tuple))),
    (1, st.builds(Redelivery, st.integers(0, 5))),
    (2, st.just(REBUILD_ALL)),
    (1, _rebuilds),
    (2, _edits(_offers, rules_min=0)),
    (1, _status_changes),
)
_waits = _weighted(
    (2, st.builds(Pass, st.just(0), st.integers(1, 2))),
    (1, st.builds(Pass, st.just(1), st.integers(-1, 1))),
    (2, st.builds(ReachLapse, st.integers(0, 1), st.integers(-1, 1))),
)
_first_rebuilds: st.SearchStrategy[Rebuild | Nothing] = st.sampled_from([REBUILD_ALL, REBUILD_ALL, Nothing()])
_steps = st.lists(st.builds(Step, _waits, _doing), min_size=7, max_size=STEPS_MAX)


@st.composite
def lives(draw: st.DrawFn) -> list[Step]:
    """Offers, users and topups to begin with, then whatever may happen."""
    beginning: list[Doing] = [
        *(draw(_edits(st.just(offer), rules_min=1)) for offer in range(OFFERS)),
        draw(_first_rebuilds),
        Users(tuple(draw(st.lists(_registrations, min_size=1, max_size=2)))),
        Topups(tuple(draw(st.lists(_good_topups, min_size=3, max_size=5)))),
    ]
    return [*(Step(AT_ONCE, doing) for doing in beginning), *draw(_steps)]
