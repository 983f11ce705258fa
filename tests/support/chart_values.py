"""What operators may give the chart: the least, everything, and servers with TLS whose logins are in Secrets."""

from typing import Any, Final

PLAIN: Final[dict[str, Any]] = {
    "image": {"repository": "registry.example.com/offers"},
    "database": {"url": "postgresql://offers:secret@postgres/offers"},
    "redis": {"url": "redis://redis:6379/0"},
    "kafka": {"bootstrapServers": "kafka:9092"},
}

EVERYTHING: Final[dict[str, Any]] = {
    "image": {"repository": "registry.example.com/offers", "digest": "sha256:" + "0" * 64, "pullPolicy": "Always"},
    "imagePullSecrets": ["registry"],
    "database": {
        "url": "postgresql://owner:12345@a.example.com:5433,b.example.com:5434/offers?target_session_attrs=primary",
        "tls": {"caSecret": "database-ca", "certificateSecret": "database-client"},
    },
    "redis": {"url": "rediss://:secret@redis.example.com:6380/0", "tls": {"caSecret": "redis-ca"}},
    "kafka": {
        "bootstrapServers": "k1.example.com:9093,k2.example.com:9094",
        "securityProtocol": "SASL_SSL",
        "sasl": {"mechanism": "SCRAM-SHA-256", "username": "offers", "password": "secret"},
        "tls": {"caSecret": "kafka-ca", "certificateSecret": "kafka-client"},
        "topicPrefix": "eu.",
        "partitions": 12,
    },
    "settings": {"OFFERS_LOG_LEVEL": "WARNING"},
    "otlpEndpoint": "http://collector.example.com:4318",
    "redemption": {
        "databaseUrl": "postgresql://decider:secret@a.example.com:5433/offers",
        "kafkaUsername": "redemption",
        "kafkaPassword": "its own",
        "settings": {"OFFERS_DECISION_RETENTION_DAYS": "30", "OFFERS_LOG_LEVEL": "DEBUG"},
        "autoscaling": {"replicasMin": 3, "replicasMax": 12, "lag": 2000},
    },
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "host": "offers.example.com",
        "annotations": {"cert-manager.io/cluster-issuer": "company"},
    },
    "autoscaling": {"enabled": True, "kafkaUsername": "autoscaler", "kafkaPassword": "may look"},
    "monitoring": {"enabled": True, "labels": {"release": "prometheus"}},
    "networkPolicy": {
        "from": {"admin": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]},
        "database": {"peers": [{"ipBlock": {"cidr": "10.0.0.0/16"}}]},
        "kafka": {"ports": [9193]},
    },
    "serviceAccount": {"annotations": {"example.com/owner": "marketing"}},
    "podAnnotations": {"example.com/cost": "marketing"},
    "podLabels": {"team": "marketing"},
    "priorityClassName": "high",
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "offers", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
}

EXTERNAL: Final[dict[str, Any]] = {
    "fullnameOverride": "offers",
    "image": {"repository": "registry.example.com/offers", "tag": "1"},
    "existingSecret": "logins",
    "database": {"tls": {"mode": "verify-ca", "caSecret": "company-ca"}},
    "kafka": {
        "bootstrapServers": "kafka.example.com:9093",
        "securityProtocol": "SASL_SSL",
        "tls": {"caSecret": "company-ca"},
    },
    "segmenter": {"existingSecret": "segmenter-login"},
    "migrations": {"existingSecret": "owner-login"},
    "autoscaling": {"enabled": True},
    "serviceAccount": {"create": False},
    "networkPolicy": {"enabled": False},
    "disruptionBudget": {"enabled": False},
}

_LOGIN: Final = {
    "OFFERS_DATABASE_URL": "postgresql://login:secret@postgres.example.com/offers",
    "OFFERS_KAFKA_SASL_USERNAME": "login",
    "OFFERS_KAFKA_SASL_PASSWORD": "secret",
}

SECRETS: Final = {
    "logins": _LOGIN | {"OFFERS_REDIS_URL": "rediss://redis.example.com:6379/0"},
    "segmenter-login": _LOGIN,
    "owner-login": _LOGIN,
}
"""The Secrets that EXTERNAL names."""

ALL: Final = {"plain": PLAIN, "everything": EVERYTHING, "external": EXTERNAL}
