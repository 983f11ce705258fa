ALTER TABLE audit_log RENAME TO audit_log_by_month;
ALTER TABLE audit_log_by_month RENAME CONSTRAINT audit_log_pkey TO audit_log_by_month_pkey;
ALTER TABLE audit_log_by_month
RENAME CONSTRAINT audit_log_chain_sequence_unique TO audit_log_by_month_chain_sequence_unique;
DROP INDEX audit_log_occurred_at;
DROP INDEX audit_log_entity;
DROP INDEX audit_log_offer;
DROP INDEX audit_log_user;

CREATE TABLE audit_log (
    event_id uuid CONSTRAINT audit_log_pkey PRIMARY KEY,
    chain integer NOT NULL,
    sequence bigint NOT NULL,
    type text NOT NULL,
    actor text NOT NULL,
    entity_type text NOT NULL,
    entity_id uuid NOT NULL,
    offer_id uuid,
    user_id uuid,
    occurred_at timestamptz NOT NULL,
    data jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    hash bytea NOT NULL,
    CONSTRAINT audit_log_chain_sequence_unique UNIQUE (chain, sequence)
);
INSERT INTO audit_log
SELECT m.event_id, m.chain, m.sequence, m.type, m.actor, m.entity_type, m.entity_id, m.offer_id, m.user_id,
    m.occurred_at, m.data, m.recorded_at, m.hash
FROM audit_log_by_month AS m;

DROP TABLE audit_log_by_month;
DROP TABLE audit_checkpoints;
DROP FUNCTION drop_audit_months(date);
DROP FUNCTION open_audit_month(timestamptz);
DROP FUNCTION refuse_audit_change();
ALTER TABLE audit_chains DROP COLUMN recorded_at;

COMMENT ON TABLE audit_log IS 'Every audit event once, in one hash chain a partition of audit.events.';
COMMENT ON COLUMN audit_log.chain IS 'The Kafka partition the event came from.';
COMMENT ON COLUMN audit_log.hash IS 'SHA-256 over the hash before it in the chain and this row''s content.';
CREATE INDEX audit_log_occurred_at ON audit_log (occurred_at, event_id);
CREATE INDEX audit_log_entity ON audit_log (entity_id, occurred_at, event_id);
CREATE INDEX audit_log_offer ON audit_log (offer_id, occurred_at, event_id) WHERE offer_id IS NOT NULL;
CREATE INDEX audit_log_user ON audit_log (user_id, occurred_at, event_id) WHERE user_id IS NOT NULL;
