CREATE TEMPORARY TABLE waiting ON COMMIT DROP AS
SELECT o.topic, m.message_key, m.value, o.created_at, o.id, m.place
FROM outbox AS o
CROSS JOIN LATERAL unnest(o.message_keys, o.messages) WITH ORDINALITY AS m (message_key, value, place);
DROP TABLE outbox;

CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT outbox_pkey PRIMARY KEY,
    topic text NOT NULL,
    message_key uuid NOT NULL,
    value text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE outbox IS 'Events that belong to a committed change and are not yet on Kafka.';
INSERT INTO outbox (topic, message_key, value, created_at)
SELECT w.topic, w.message_key, w.value, w.created_at FROM waiting AS w ORDER BY w.id, w.place;
