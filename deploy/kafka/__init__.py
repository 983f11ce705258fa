"""What an Apache Kafka cluster is given: its jars, its access list."""
