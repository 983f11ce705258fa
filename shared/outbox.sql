-- name: add
-- Stores messages that belong to the change being committed.
INSERT INTO outbox (topic, message_key, value)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[])

-- name: take
-- Claims the oldest messages nobody else is publishing; they are gone once the transaction commits.
DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox WHERE topic = ANY($1::text[]) ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
)
RETURNING id, topic, message_key, value
