ALTER TABLE redemption_decisions RENAME TO redemption_decisions_by_period;
ALTER TABLE redemption_decisions_by_period
RENAME CONSTRAINT redemption_decisions_pkey TO redemption_decisions_by_period_pkey;

CREATE TABLE redemption_decisions (
    request_id uuid CONSTRAINT redemption_decisions_pkey PRIMARY KEY,
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
    CONSTRAINT redemption_decisions_reason_iff_rejected CHECK ((status = 'rejected') = (reason IS NOT NULL))
);
INSERT INTO redemption_decisions
SELECT d.request_id, d.content_hash, d.command, d.status, d.reason, d.offer_id, d.user_id, d.redemption_id,
    d.request, d.reply, d.decided_at
FROM redemption_decisions_by_period AS d;

DROP TABLE redemption_decisions_by_period;
DROP FUNCTION drop_decision_periods(timestamptz);
DROP FUNCTION open_decision_period(timestamptz);
DROP FUNCTION decision_period();
DROP TABLE decision_periods;

COMMENT ON TABLE redemption_decisions IS 'What was answered to each request; a repeat is answered from here.';
COMMENT ON COLUMN redemption_decisions.content_hash IS 'SHA-256 of what was asked; the same id with another hash is a conflict.';
COMMENT ON COLUMN redemption_decisions.reply IS 'The reply exactly as sent.';
CREATE INDEX redemption_decisions_decided_at ON redemption_decisions (decided_at);
