-- The audit log by month, so that the retention drops whole months; and append-only for everybody.
ALTER TABLE audit_log RENAME TO audit_log_before;
ALTER TABLE audit_log_before RENAME CONSTRAINT audit_log_pkey TO audit_log_before_pkey;
ALTER TABLE audit_log_before
RENAME CONSTRAINT audit_log_chain_sequence_unique TO audit_log_before_chain_sequence_unique;
DROP INDEX audit_log_occurred_at;
DROP INDEX audit_log_entity;
DROP INDEX audit_log_offer;
DROP INDEX audit_log_user;

CREATE TABLE audit_log (
    event_id uuid NOT NULL,
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
    CONSTRAINT audit_log_pkey PRIMARY KEY (event_id, recorded_at),
    CONSTRAINT audit_log_chain_sequence_unique UNIQUE (chain, sequence, recorded_at)
) PARTITION BY RANGE (recorded_at);
COMMENT ON TABLE audit_log IS 'Every audit event once, in one hash chain a partition of audit.events; rows are never changed.';
COMMENT ON COLUMN audit_log.chain IS 'The Kafka partition the event came from.';
COMMENT ON COLUMN audit_log.recorded_at IS 'Never earlier than the row before it in its chain has, so that months end chains in order.';
COMMENT ON COLUMN audit_log.hash IS 'SHA-256 over the hash before it in the chain and this row''s content.';
CREATE INDEX audit_log_occurred_at ON audit_log (occurred_at, event_id);
CREATE INDEX audit_log_entity ON audit_log (entity_id, occurred_at, event_id);
CREATE INDEX audit_log_offer ON audit_log (offer_id, occurred_at, event_id) WHERE offer_id IS NOT NULL;
CREATE INDEX audit_log_user ON audit_log (user_id, occurred_at, event_id) WHERE user_id IS NOT NULL;

ALTER TABLE audit_chains ADD COLUMN recorded_at timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN audit_chains.recorded_at IS 'When the last link was recorded.';
UPDATE audit_chains AS c SET recorded_at = (
    SELECT max(b.recorded_at) FROM audit_log_before AS b WHERE b.chain = c.chain
)
WHERE EXISTS (SELECT FROM audit_log_before AS b WHERE b.chain = c.chain);

CREATE TABLE audit_checkpoints (
    chain integer NOT NULL,
    sequence bigint NOT NULL,
    hash bytea NOT NULL,
    rows_dropped bigint NOT NULL,
    before_month date NOT NULL,
    verified boolean NOT NULL,
    signed_off_by text NOT NULL,
    signed_off_at timestamptz NOT NULL,
    seal bytea NOT NULL,
    CONSTRAINT audit_checkpoints_pkey PRIMARY KEY (chain, sequence)
);
COMMENT ON TABLE audit_checkpoints IS 'Where a chain goes on after its older months were dropped: verification starts there.';
COMMENT ON COLUMN audit_checkpoints.hash IS 'Of the last row dropped, which the next row''s hash covers.';
COMMENT ON COLUMN audit_checkpoints.verified IS 'Whether the rows dropped were whole; if not, somebody stood for it.';
COMMENT ON COLUMN audit_checkpoints.seal IS 'SHA-256 over the chain''s checkpoint before it and this one''s content.';

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', tg_table_name, lower(tg_op)
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON audit_log
FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_log_not_truncated BEFORE TRUNCATE ON audit_log
FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_checkpoints_append_only BEFORE UPDATE OR DELETE ON audit_checkpoints
FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_checkpoints_not_truncated BEFORE TRUNCATE ON audit_checkpoints
FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

CREATE FUNCTION open_audit_month(p_now timestamptz) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    month_start timestamp := date_trunc('month', p_now AT TIME ZONE 'UTC');
    name text := 'audit_log_' || to_char(month_start, 'YYYY_MM');
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(7205759403792793603);
    IF to_regclass(name) IS NOT NULL THEN
        RETURN false;
    END IF;
    -- Attached rather than created in place: readers of other months don't wait for that, nor it for them.
    EXECUTE format('CREATE TABLE %I (LIKE audit_log INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
    EXECUTE format(
        'ALTER TABLE audit_log ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        name, month_start AT TIME ZONE 'UTC', (month_start + interval '1 month') AT TIME ZONE 'UTC'
    );
    EXECUTE format(
        'CREATE TRIGGER audit_log_not_truncated BEFORE TRUNCATE ON %I
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()', name
    );
    RETURN true;
END $$;
COMMENT ON FUNCTION open_audit_month IS 'Makes the partition of audit_log for the month of an instant, if there is none.';

CREATE FUNCTION drop_audit_months(p_before date) RETURNS SETOF date LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT c.relname FROM pg_inherits AS i INNER JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'audit_log'::regclass AND c.relname < 'audit_log_' || to_char(p_before, 'YYYY_MM')
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE %I', name);
        RETURN NEXT to_date(right(name, 7), 'YYYY_MM');
    END LOOP;
END $$;
COMMENT ON FUNCTION drop_audit_months IS 'Drops the months before one; only after their checkpoints were written.';

SELECT open_audit_month(m.month_start) FROM (
    SELECT DISTINCT date_trunc('month', b.recorded_at) AS month_start FROM audit_log_before AS b
    UNION
    SELECT now()
    UNION
    SELECT now() + interval '1 month'
) AS m ORDER BY m.month_start;
INSERT INTO audit_log
SELECT b.event_id, b.chain, b.sequence, b.type, b.actor, b.entity_type, b.entity_id, b.offer_id, b.user_id,
    b.occurred_at, b.data, b.recorded_at, b.hash
FROM audit_log_before AS b;
DROP TABLE audit_log_before;
