-- What became of each offer's requests, and how many members it had, by the hour: counted by the admin service beside
-- the traffic, since reading a million decisions takes seconds.
CREATE TABLE offer_decision_counts (
    offer_id uuid NOT NULL,
    hour timestamptz NOT NULL,
    command text NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    decisions bigint NOT NULL,
    discount numeric(20, 2) NOT NULL,
    CONSTRAINT offer_decision_counts_pkey PRIMARY KEY (offer_id, hour, command, status, reason),
    CONSTRAINT offer_decision_counts_positive CHECK (decisions > 0),
    CONSTRAINT offer_decision_counts_whole_hour CHECK (hour = date_trunc('hour', hour, 'UTC'))
);
COMMENT ON TABLE offer_decision_counts IS
'How many decisions of each kind an offer got in an hour (after some months: in a day), up to insight_progress.';
COMMENT ON COLUMN offer_decision_counts.hour IS 'When it began, in UTC; midnight where a whole day was put together.';
COMMENT ON COLUMN offer_decision_counts.reason IS 'Why it was rejected; empty where it was accepted.';
COMMENT ON COLUMN offer_decision_counts.discount IS
'The discounts of what was accepted: given by redeems, taken back by revokes.';

CREATE TABLE offer_member_counts (
    offer_id uuid NOT NULL,
    hour timestamptz NOT NULL,
    members bigint NOT NULL,
    CONSTRAINT offer_member_counts_pkey PRIMARY KEY (offer_id, hour),
    CONSTRAINT offer_member_counts_positive CHECK (members >= 0),
    CONSTRAINT offer_member_counts_whole_hour CHECK (hour = date_trunc('hour', hour, 'UTC'))
);
COMMENT ON TABLE offer_member_counts IS
'How many members an offer had when they were last counted in an hour; no row where it was as many as before.';

CREATE TABLE insight_progress (
    task text CONSTRAINT insight_progress_pkey PRIMARY KEY,
    counted_until timestamptz NOT NULL,
    after_offer_id uuid,
    CONSTRAINT insight_progress_task_known CHECK (task IN ('decisions', 'members'))
);
COMMENT ON TABLE insight_progress IS 'How far each count has come; whoever counts holds its row.';
COMMENT ON COLUMN insight_progress.counted_until IS
'decisions: those decided earlier are counted, once each. members: when the newest round over all offers began.';
COMMENT ON COLUMN insight_progress.after_offer_id IS 'Offers up to this id have been counted in a round under way.';

INSERT INTO insight_progress (task, counted_until)
SELECT 'decisions', coalesce(min(d.decided_at), now()) FROM redemption_decisions AS d
UNION ALL
SELECT 'members', 'epoch';

-- Serves that count: the newest decisions, wherever they stand. A summary of each megabyte, which storing a decision
-- hardly touches: about 1 % of the processor time of its COPY, where a B-tree took 10 %.
CREATE INDEX redemption_decisions_decided_at ON redemption_decisions USING brin (decided_at)
WITH (pages_per_range = 128, autosummarize = on);

GRANT SELECT ON offer_segment_rebuilds TO offers_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON offer_decision_counts, offer_member_counts TO offers_admin;
GRANT SELECT, UPDATE ON insight_progress TO offers_admin;
