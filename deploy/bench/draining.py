"""Messages that wait for a worker, and the worker that gets through them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from deploy.bench.backlog import CommittedOffsets, Drained, drain
from deploy.bench.servers import Servers
from deploy.bench.steps import Steps
from deploy.bench.workers import Worker, running_worker
from shared.broker import Outgoing, Publisher
from shared.settings import KafkaSettings
from shared.topics import create_topics


@dataclass(frozen=True, slots=True)
class Job:
    """A worker to be started as `argv`, which reads `topic` in the group of `service`; `run` names its topics."""

    run: str
    argv: Sequence[str]
    database_url: str
    service: str
    topic: str


@dataclass(frozen=True, slots=True)
class Underway:
    """A worker that has committed all messages and is still up, and its topics."""

    drained: Drained
    worker: Worker
    kafka: KafkaSettings


@asynccontextmanager
async def worker_drained(
    servers: Servers, job: Job, messages: Sequence[Outgoing], steps: Steps, what: str
) -> AsyncIterator[Underway]:
    """Publish the messages, start the worker, and wait until it has committed all of them; `what` names them.

    Raises:
        ServerError: the worker ended.
        Stalled: nothing more is committed.
    """
    kafka = servers.kafka_for(job.run)
    await create_topics(kafka)
    await _publish(kafka, messages)
    async with running_worker(servers, job.run, job.argv, job.database_url, kafka) as worker:
        with steps.step(f"round {job.run}: {len(messages):,} {what}") as show:
            async with CommittedOffsets(kafka, job.service, job.topic) as committed:
                drained = await drain(committed, len(messages), worker, show)
        yield Underway(drained, worker, kafka)


async def _publish(kafka: KafkaSettings, messages: Sequence[Outgoing]) -> None:
    publisher = Publisher(kafka, "bench")
    await publisher.start()
    try:
        await publisher.publish_all(messages)
    finally:
        await publisher.stop()
