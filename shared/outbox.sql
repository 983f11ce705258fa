-- name: add
-- Stores messages to one topic that belong to the change being committed.
INSERT INTO outbox (topic, message_keys, messages) VALUES ($1, $2::uuid[], $3::text[])

-- name: queue
-- One relay at a time for the same topics, so that what concerns one key is published in order.
SELECT pg_advisory_xact_lock(hashtextextended('outbox:' || $1, 0))

-- name: take
-- Claims the oldest rows; they are gone once the transaction commits.
DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox WHERE topic = ANY($1::text[]) ORDER BY id LIMIT $2
)
RETURNING id, topic, message_keys, messages

-- name: backlog
-- How many rows wait, counted as far as an alert needs.
SELECT count(*) FROM (SELECT 1 FROM outbox WHERE topic = ANY($1::text[]) ORDER BY id LIMIT 10000) AS waiting
