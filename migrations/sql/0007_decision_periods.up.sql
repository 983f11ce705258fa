-- Decisions are kept by the period they were made in, so that the retention drops whole partitions.
ALTER TABLE redemption_decisions RENAME TO redemption_decisions_before;
ALTER TABLE redemption_decisions_before RENAME CONSTRAINT redemption_decisions_pkey TO redemption_decisions_before_pkey;
DROP INDEX redemption_decisions_decided_at;

CREATE TABLE decision_periods (
    period date CONSTRAINT decision_periods_pkey PRIMARY KEY,
    opened_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz
);
COMMENT ON TABLE decision_periods IS 'The partitions of redemption_decisions: a month each, named by its first day.';
COMMENT ON COLUMN decision_periods.closed_at IS 'No decision of the period was made later; null while it is open.';
CREATE UNIQUE INDEX decision_periods_one_open ON decision_periods ((closed_at IS NULL)) WHERE closed_at IS NULL;

CREATE FUNCTION decision_period() RETURNS date LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7205759403792793602);
    RETURN (SELECT p.period FROM decision_periods AS p WHERE p.closed_at IS NULL);
END $$;
COMMENT ON FUNCTION decision_period IS 'The open period, which stays open until the transaction ends.';

CREATE TABLE redemption_decisions (
    request_id uuid NOT NULL,
    content_hash bytea NOT NULL,
    command text NOT NULL CONSTRAINT redemption_decisions_command_known CHECK (command IN ('redeem', 'revoke')),
    status text NOT NULL CONSTRAINT redemption_decisions_status_known CHECK (status IN ('accepted', 'rejected')),
    reason text,
    offer_id uuid,
    user_id uuid,
    redemption_id uuid,
    request jsonb NOT NULL,
    reply text NOT NULL,
    decided_at timestamptz NOT NULL,
    period date NOT NULL DEFAULT decision_period(),
    CONSTRAINT redemption_decisions_pkey PRIMARY KEY (request_id, period),
    CONSTRAINT redemption_decisions_reason_iff_rejected CHECK ((status = 'rejected') = (reason IS NOT NULL))
) PARTITION BY LIST (period);
COMMENT ON TABLE redemption_decisions IS 'What was answered to each request; a repeat is answered from here.';
COMMENT ON COLUMN redemption_decisions.content_hash IS 'SHA-256 of what was asked; the same id with another hash is a conflict.';
COMMENT ON COLUMN redemption_decisions.reply IS 'The reply exactly as sent.';
COMMENT ON COLUMN redemption_decisions.period IS
'The period open when it was made. Only one is open at a time, so that no request is decided in two of them.';

CREATE FUNCTION open_decision_period(p_now timestamptz DEFAULT now()) RETURNS date LANGUAGE plpgsql AS $$
DECLARE
    current date := date_trunc('month', p_now AT TIME ZONE 'UTC');
BEGIN
    IF EXISTS (SELECT FROM decision_periods AS p WHERE p.period >= current) THEN
        RETURN (SELECT p.period FROM decision_periods AS p WHERE p.closed_at IS NULL);
    END IF;
    -- Waits until no transaction is under way that decides in the period before; see decision_period().
    PERFORM pg_advisory_xact_lock(7205759403792793602);
    IF NOT EXISTS (SELECT FROM decision_periods AS p WHERE p.period >= current) THEN
        EXECUTE format(
            'CREATE TABLE redemption_decisions_%s PARTITION OF redemption_decisions FOR VALUES IN (%L)',
            to_char(current, 'YYYY_MM'), current
        );
        UPDATE decision_periods SET closed_at = p_now WHERE closed_at IS NULL;
        INSERT INTO decision_periods (period, opened_at) VALUES (current, p_now);
    END IF;
    RETURN (SELECT p.period FROM decision_periods AS p WHERE p.closed_at IS NULL);
END $$;
COMMENT ON FUNCTION open_decision_period IS
'Closes the open period and opens the present month''s, if that is not the one open. Returns the one open.';

CREATE FUNCTION drop_decision_periods(p_before timestamptz) RETURNS SETOF date LANGUAGE plpgsql AS $$
DECLARE
    dropped date;
BEGIN
    FOR dropped IN
        DELETE FROM decision_periods AS p WHERE p.closed_at < p_before RETURNING p.period
    LOOP
        EXECUTE format('DROP TABLE redemption_decisions_%s', to_char(dropped, 'YYYY_MM'));
        RETURN NEXT dropped;
    END LOOP;
END $$;
COMMENT ON FUNCTION drop_decision_periods IS 'Drops every period that was closed before an instant; returns them.';

SELECT open_decision_period();
INSERT INTO redemption_decisions
SELECT b.*, decision_period() FROM redemption_decisions_before AS b;
DROP TABLE redemption_decisions_before;
