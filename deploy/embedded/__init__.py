"""PostgreSQL, Redis and Kafka as child processes from wheels, and the supervisor that keeps our services up."""
