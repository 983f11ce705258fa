"""An Apache Kafka node as a cluster for production is set up: TLS everywhere, logins, and an access list."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaConsumer

from deploy.embedded.child import Child, NotReadyYet, run_to_end
from deploy.embedded.kafka_jars import KAFKA_FILES, java_program, kafka_jars
from deploy.embedded.ports import free_port
from deploy.embedded.server import ChildServer, plain_environment
from shared.broker import Outgoing, Publisher, client_options
from shared.reaching import KafkaAway, reach_kafka
from shared.settings import KafkaSettings
from tests.support.certificates import HOST, Authority

ROOT: Final = "root"
START_TIMEOUT_S: Final = 120.0
CLUSTER_ID: Final = "b2ZmZXJzLXdpcmUtdGVzdA"

# Brokers and controllers know each other by certificate; who has a certificate is known by its common name.
_SETTINGS: Final = """\
process.roles=broker,controller
node.id=1
listeners=SASL_SSL://{host}:{port},SSL://{host}:{certificate_port},CONTROLLER://{host}:{controller_port}
advertised.listeners=SASL_SSL://{host}:{port},SSL://{host}:{certificate_port}
listener.security.protocol.map=SASL_SSL:SASL_SSL,SSL:SSL,CONTROLLER:SSL
inter.broker.listener.name=SSL
controller.listener.names=CONTROLLER
controller.quorum.voters=1@{host}:{controller_port}
log.dirs={log_dir}
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={ca}
listener.name.ssl.ssl.client.auth=required
listener.name.controller.ssl.client.auth=required
ssl.principal.mapping.rules=RULE:^CN=([^,]+),.*$/$1/
sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256,PLAIN
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.plain.sasl.jaas.config=\\
  org.apache.kafka.common.security.plain.PlainLoginModule required user_{root}="{root_password}";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:broker;User:{root}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
"""


class SecuredKafka(ChildServer):
    """Passwords by login (SCRAM, of both kinds); ROOT, who may do anything, also logs in by PLAIN."""

    name = "secured-kafka"
    stop_timeout_s = 30.0

    def __init__(self, authority: Authority, passwords: Mapping[str, str]) -> None:
        super().__init__()
        self._authority = authority
        self._passwords = passwords
        self._certificate_port = free_port()
        self._controller_port = free_port()

    def settings(self, login: str, **more: object) -> KafkaSettings:
        """How this login reaches the broker."""
        known: dict[str, object] = {
            "kafka_bootstrap_servers": f"{HOST}:{self.port}",
            "kafka_security_protocol": "SASL_SSL",
            "kafka_sasl_username": login,
            "kafka_sasl_password": self._passwords[login],
            "kafka_ssl_cafile": str(self._authority.ca),
            "kafka_session_timeout_ms": 6_000,
            "kafka_partitions": 2,
        }
        return KafkaSettings.model_validate(known | more)

    def settings_by_certificate(self, certificate: Path, key: Path) -> KafkaSettings:
        """How the holder of a certificate reaches it."""
        return KafkaSettings(
            kafka_bootstrap_servers=f"{HOST}:{self._certificate_port}",
            kafka_security_protocol="SSL",
            kafka_ssl_cafile=str(self._authority.ca),
            kafka_ssl_certfile=str(certificate),
            kafka_ssl_keyfile=str(key),
        )

    async def start(self, data_dir: Path) -> None:
        """Format, start, and return once it lets ROOT in."""
        home, log_path = self._folders(data_dir)
        logging = f"-Dlog4j2.configurationFile={KAFKA_FILES / 'log4j2.properties'}"
        command = [
            await java_program(),
            "-Xmx512m",
            "-XX:TieredStopAtLevel=1",
            logging,
            "-cp",
            f"{await kafka_jars()}/*",
        ]
        settings = home / "server.properties"
        settings.write_text(self._server_properties(home))
        await run_to_end("kafka format", self._format(command, settings), log_path=log_path, env=plain_environment())
        argv = [*command, "kafka.Kafka", str(settings)]
        self._child = await Child.spawn(self.name, argv, log_path=log_path, env=plain_environment(), cwd=home)
        try:
            await self._child.until_ready(self._answers, START_TIMEOUT_S)
        except BaseException:
            await self.stop()
            raise

    def _server_properties(self, home: Path) -> str:
        return _SETTINGS.format(
            host=HOST,
            port=self.port,
            certificate_port=self._certificate_port,
            controller_port=self._controller_port,
            log_dir=home / "topics",
            keystore=self._authority.issue("broker").joined(),
            ca=self._authority.ca,
            root=ROOT,
            root_password=self._passwords[ROOT],
        )

    def _format(self, command: list[str], settings: Path) -> list[str]:
        argv = [*command, "kafka.tools.StorageTool", "format", f"--cluster-id={CLUSTER_ID}", "--config", str(settings)]
        for login, password in self._passwords.items():
            for mechanism in ("SCRAM-SHA-512", "SCRAM-SHA-256"):
                argv += ["--add-scram", f"{mechanism}=[name={login},password={password}]"]
        return argv

    async def _answers(self) -> None:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await reach_kafka(client_options(self.settings(ROOT)))
        except KafkaAway as error:
            raise NotReadyYet from error


async def publish(kafka: KafkaSettings, *messages: Outgoing) -> None:
    """Publish as a login."""
    publisher = Publisher(kafka, "test")
    await publisher.start()
    try:
        await publisher.publish_all(messages)
    finally:
        await publisher.stop()


async def first_message(kafka: KafkaSettings, topic: str, group: str | None) -> bytes:
    """The first message of the topic, read as a member of a group."""
    consumer = AIOKafkaConsumer(
        topic, **client_options(kafka), group_id=group, auto_offset_reset="earliest", session_timeout_ms=6_000
    )
    try:
        async with asyncio.timeout(30):
            await consumer.start()
            return bytes((await consumer.getone()).value)
    finally:
        await consumer.stop()
