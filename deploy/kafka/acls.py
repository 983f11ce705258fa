"""Who may do what on a cluster: the logins of this system, and the access list that follows. Pure.

Nobody else may write `audit.events`, and each service reads in the consumer groups of its own. Read and Write of a
topic, and Read of a group, include Describe.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from shared.topics import (
    ALL,
    AUDIT_EVENTS,
    CONSUMED,
    DEAD_LETTER_REPLAYS,
    OFFERS_CHANGED,
    REDEMPTION_REPLIES,
    REDEMPTION_REQUESTS,
    SEGMENTS_CHANGED,
    TOPUPS,
    USERS,
    consumer_group,
    dead_letter_topic,
)


class Resource(Enum):
    """What an entry is about; the values are the protocol's."""

    topic = 2
    group = 3
    cluster = 4


class Pattern(Enum):
    """Whether a name is the whole name or the beginning of one; the values are the protocol's."""

    literal = 3
    prefixed = 4


class Operation(Enum):
    """What is allowed; the values are the protocol's."""

    Read = 3
    Write = 4
    Create = 5
    Describe = 8
    IdempotentWrite = 12


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the access list: it allows, from any host."""

    principal: str
    operation: Operation
    resource: Resource
    name: str
    pattern: Pattern = Pattern.literal


@dataclass(frozen=True, slots=True)
class Login:
    """One login and what it is for, as topics and the beginnings of groups."""

    name: str
    purpose: str
    consumes: Sequence[str] = ()
    """As a service does: in its own group, with dead letters."""
    reads: Sequence[str] = ()
    writes: Sequence[str] = ()
    writes_beginning: Sequence[str] = ()
    creates: Sequence[str] = ()
    watches: Sequence[str] = ()
    groups: Sequence[str] = ()
    watches_groups: Sequence[str] = ()


DEAD_LETTERS: Final = tuple(map(dead_letter_topic, CONSUMED))

LOGINS: Final = (
    Login(
        "redemption",
        "the service",
        consumes=(REDEMPTION_REQUESTS, OFFERS_CHANGED),
        writes=(REDEMPTION_REPLIES, AUDIT_EVENTS),
        writes_beginning=(f"{REDEMPTION_REPLIES}.",),  # Where a checkout has a reply topic of its own.
    ),
    Login(
        "segmenter", "the service", consumes=(TOPUPS, USERS, OFFERS_CHANGED), writes=(SEGMENTS_CHANGED, AUDIT_EVENTS)
    ),
    Login("audit", "the service", consumes=(AUDIT_EVENTS,)),
    Login("admin", "the service", writes=(OFFERS_CHANGED, AUDIT_EVENTS)),
    Login("checkout", "asks for redemptions", writes=(REDEMPTION_REQUESTS,), reads=(REDEMPTION_REPLIES,)),
    Login("upstream", "publishes topups and users", writes=(TOPUPS, USERS)),
    Login("auditor", "reads what was decided", reads=(AUDIT_EVENTS,), groups=("auditor.",)),
    Login("marketing", "reads who enters and leaves segments", reads=(SEGMENTS_CHANGED,), groups=("marketing.",)),
    Login(
        "operator",
        "`offers topics` and `offers dlq`",
        creates=ALL,
        reads=(*DEAD_LETTERS, DEAD_LETTER_REPLAYS),
        writes=(*CONSUMED, DEAD_LETTER_REPLAYS),
    ),
    Login("autoscaler", "measures lag, such as KEDA", watches=CONSUMED, watches_groups=("offers.",)),
)


def entries(prefix: str = "", principals: Mapping[str, str] | None = None) -> list[Entry]:
    """The whole access list. `prefix` is that of topics and groups; `principals` names logins that are called
    otherwise than `User:` and their name, such as by the subject of a certificate."""
    named = principals or {}
    return [each for login in LOGINS for each in _entries(login, prefix, named.get(login.name, f"User:{login.name}"))]


def _entries(login: Login, prefix: str, principal: str) -> Iterator[Entry]:
    def topics(operation: Operation, names: Sequence[str], pattern: Pattern = Pattern.literal) -> Iterator[Entry]:
        return (Entry(principal, operation, Resource.topic, prefix + name, pattern) for name in names)

    def groups(operation: Operation, names: Sequence[str], pattern: Pattern) -> Iterator[Entry]:
        return (Entry(principal, operation, Resource.group, name, pattern) for name in names)

    written = (*login.writes, *map(dead_letter_topic, login.consumes))
    own = [consumer_group(login.name, topic, prefix) for topic in login.consumes]
    yield from topics(Operation.Read, (*login.consumes, *login.reads))
    yield from topics(Operation.Write, written)
    yield from topics(Operation.Write, login.writes_beginning, Pattern.prefixed)
    yield from topics(Operation.Create, login.creates)
    yield from topics(Operation.Describe, (*login.creates, *login.watches))
    yield from groups(Operation.Read, own, Pattern.literal)
    yield from groups(Operation.Read, [prefix + name for name in login.groups], Pattern.prefixed)
    yield from groups(Operation.Describe, [prefix + name for name in login.watches_groups], Pattern.prefixed)
    if written:  # Brokers from 2.8 on take Write of a topic for it; older and compatible ones ask for it.
        yield Entry(principal, Operation.IdempotentWrite, Resource.cluster, "kafka-cluster")


def kafka_acls_line(entry: Entry) -> str:
    """The entry as a call of Kafka's own tool; BOOTSTRAP and ADMIN_PROPERTIES are the caller's."""
    where = ["--cluster"] if entry.resource is Resource.cluster else [f"--{entry.resource.name}", entry.name]
    if entry.pattern is Pattern.prefixed:
        where += ["--resource-pattern-type", "prefixed"]
    what = ["--add", "--allow-principal", entry.principal, "--operation", entry.operation.name, *where]
    connect = 'kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config "$ADMIN_PROPERTIES"'
    return f"{connect} {shlex.join(what)}"


def as_json(entry: Entry) -> dict[str, str]:
    """The entry for programs."""
    return {
        "principal": entry.principal,
        "permission": "Allow",
        "host": "*",
        "operation": entry.operation.name,
        "resource_type": entry.resource.name,
        "resource_name": entry.name,
        "pattern_type": entry.pattern.name,
    }
