"""A service as it is, but for a signal it sends itself at a named point of its work.

Run as `python -m tests.support.doomed_service SERVICE POINT TIMES SIGNAL`: the TIMES-th time the point is reached, the
process sends itself SIGKILL or SIGSTOP. Small batches are let pass, so that the blow always falls on much work.
This is the only module of the tests that knows where the points are.
"""

import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import Any, Final
from unittest.mock import patch

from asyncpg.transaction import Transaction

from services.audit.handler import AuditHandler
from services.redemption.handler import RedemptionHandler
from shared.batches import Batch
from shared.broker import Outgoing, Publisher
from shared.service import run_service

BATCH_MIN: Final = 10
HANDLERS: Final[dict[str, type[Any]]] = {"audit": AuditHandler, "redemption": RedemptionHandler}


class Point(StrEnum):
    """Where in its work on a batch a worker is struck."""

    AFTER_POLL = "after-poll"
    """It holds a batch and has done nothing about it."""
    IN_TRANSACTION = "in-transaction"
    """Everything is written, nothing is committed."""
    BEFORE_PUBLISH = "before-publish"
    """The transaction is committed, nobody has been told."""
    BEFORE_OFFSETS = "before-offsets"
    """The cluster has all of the batch's messages, its offsets are not committed."""
    AFTER_OFFSETS = "after-offsets"
    """The batch is done with; whatever else the worker has in hand must come again."""


@dataclass(slots=True)
class Doom:
    """Strikes this process the n-th time it reaches the point."""

    point: Point
    times: int
    signal: signal.Signals
    batch: int = 0
    """How many messages the worker has in hand."""

    def reach(self, point: Point) -> None:
        """Strike, if this is where and when."""
        if point is not self.point or self.batch < BATCH_MIN:
            return
        self.times -= 1
        if self.times == 0:
            os.kill(os.getpid(), self.signal)


@contextmanager
def doomed(service: str, doom: Doom) -> Iterator[None]:
    """While the block runs, the service's steps report to the doom as they reach the points."""
    handler_type = HANDLERS[service]
    handle, leave = handler_type.__call__, Transaction.__aexit__
    publish, commit = Publisher.publish_all, Batch.commit

    async def handling(handler: Any, received: Sequence[Any]) -> list[Outgoing]:
        doom.batch = len(received)
        doom.reach(Point.AFTER_POLL)
        outgoing: list[Outgoing] = await handle(handler, received)
        return outgoing

    async def leaving(transaction: Transaction, kind: Any, error: Any, trace: Any) -> None:
        if error is None:
            doom.reach(Point.IN_TRANSACTION)
        await leave(transaction, kind, error, trace)

    async def publishing(publisher: Publisher, messages: Iterable[Outgoing]) -> None:
        doom.reach(Point.BEFORE_PUBLISH)
        await publish(publisher, messages)

    async def committing(batch: Batch[Any]) -> None:
        doom.reach(Point.BEFORE_OFFSETS)
        await commit(batch)
        doom.reach(Point.AFTER_OFFSETS)

    with ExitStack() as patched:
        patched.enter_context(patch.object(handler_type, "__call__", handling))
        patched.enter_context(patch.object(Transaction, "__aexit__", leaving))
        patched.enter_context(patch.object(Publisher, "publish_all", publishing))
        patched.enter_context(patch.object(Batch, "commit", committing))
        yield


def program(service: str, point: Point, times: int, number: signal.Signals) -> list[str]:
    """What to run with `python -m`."""
    return ["tests.support.doomed_service", service, point, str(times), number.name]


def main(service: str, point: str, times: str, signal_name: str) -> None:
    """Run the service until its doom, or until it is told to stop."""
    with doomed(service, Doom(Point(point), int(times), signal.Signals[signal_name])):
        run_service(service, import_module(f"services.{service}.app").serve)


if __name__ == "__main__":
    main(*sys.argv[1:])
