-- A batch of topups or a rebuild announces hundreds of messages at once, to one topic.
ALTER TABLE outbox ADD COLUMN message_keys uuid [], ADD COLUMN messages text [];
UPDATE outbox SET message_keys = ARRAY[message_key], messages = ARRAY[value];
ALTER TABLE outbox
DROP COLUMN message_key, DROP COLUMN value,
ALTER COLUMN message_keys SET NOT NULL, ALTER COLUMN messages SET NOT NULL,
ADD CONSTRAINT outbox_key_for_each_message CHECK (cardinality(message_keys) = cardinality(messages));
COMMENT ON COLUMN outbox.messages IS 'JSON values, to be published in this order, each with the key at its place.';
