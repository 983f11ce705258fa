-- name: commit_lazily
-- Lets this transaction's commit not wait for the disk: should it be lost, it is lost whole, and done again.
SELECT set_config('synchronous_commit', 'off', true)

-- name: hold_task
-- How far a count has come; its row is held until the transaction ends. No row if somebody else holds it.
SELECT p.counted_until, p.after_offer_id, clock_timestamp() AS now
FROM insight_progress AS p WHERE p.task = $1 FOR NO KEY UPDATE SKIP LOCKED

-- name: note_progress
-- Notes how far a count has come.
UPDATE insight_progress SET counted_until = $2, after_offer_id = $3 WHERE task = $1

-- name: present_time
-- The clock that decisions are dated by.
SELECT clock_timestamp()

-- name: batches_under_way
-- The transactions that may still store decisions: each holds the open period from before it reads the clock.
SELECT l.virtualtransaction AS batch
FROM pg_locks AS l
WHERE
    l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND (l.classid::bigint << 32) | l.objid::bigint = 7205759403792793602
    AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())

-- name: count_decisions
-- Adds the decisions of a stretch of time, all of which have been committed, to the counts of their hours. Returns how
-- many kinds of decisions it found.
WITH decided AS MATERIALIZED (
    SELECT
        d.offer_id, d.hour, d.command, d.status, d.reason, count(*) AS decisions,
        coalesce(sum(d.discount), 0) AS discount
    FROM (
        SELECT
            n.offer_id, date_trunc('hour', n.decided_at, 'UTC') AS hour, n.command, n.status,
            coalesce(n.reason, '') AS reason,
            CASE n.status WHEN 'accepted' THEN (n.reply::json ->> 'discount_amount')::numeric END AS discount
        FROM redemption_decisions AS n
        WHERE n.decided_at >= $1 AND n.decided_at < $2
    ) AS d
    GROUP BY d.offer_id, d.hour, d.command, d.status, d.reason
),

counted AS (
    INSERT INTO offer_decision_counts AS c (offer_id, hour, command, status, reason, decisions, discount)
    SELECT d.offer_id, d.hour, d.command, d.status, d.reason, d.decisions, d.discount
    FROM decided AS d
    WHERE EXISTS (SELECT FROM offers AS o WHERE o.id = d.offer_id)
    ON CONFLICT ON CONSTRAINT offer_decision_counts_pkey DO UPDATE
    SET decisions = c.decisions + excluded.decisions, discount = c.discount + excluded.discount
    RETURNING c.offer_id
)

SELECT count(*) FROM counted

-- name: next_offers
-- The next offers of a round over all of them, by id.
SELECT o.id FROM offers AS o WHERE $1::uuid IS NULL OR o.id > $1 ORDER BY o.id LIMIT $2

-- name: count_members
-- Counts the members of some offers, from the index alone: all rows, less those that have lapsed just now. Writes only
-- numbers that differ from the newest ones.
WITH lapsed AS (
    SELECT m.offer_id, count(*) AS members
    FROM offer_segment_members AS m
    WHERE m.valid_until <= now() AND m.valid_until < 'infinity'
    GROUP BY m.offer_id
)

INSERT INTO offer_member_counts AS c (offer_id, hour, members)
SELECT n.offer_id, date_trunc('hour', now(), 'UTC'), n.members
FROM (
    SELECT
        a.offer_id,
        (SELECT count(*) FROM offer_segment_members AS m WHERE m.offer_id = a.offer_id)
        - coalesce(l.members, 0) AS members
    FROM unnest($1::uuid[]) AS a (offer_id)
    LEFT JOIN lapsed AS l ON l.offer_id = a.offer_id
) AS n
WHERE n.members <> coalesce((
    SELECT b.members FROM offer_member_counts AS b WHERE b.offer_id = n.offer_id ORDER BY b.hour DESC LIMIT 1
), 0)
ON CONFLICT ON CONSTRAINT offer_member_counts_pkey DO UPDATE SET members = excluded.members

-- name: fold_decision_counts
-- Puts the hours of some offers' days before a given one together: the sums stay what they are.
WITH folded AS (
    DELETE FROM offer_decision_counts AS c
    WHERE c.offer_id = ANY($1::uuid[]) AND c.hour < $2 AND c.hour <> date_trunc('day', c.hour, 'UTC')
    RETURNING c.offer_id, c.hour, c.command, c.status, c.reason, c.decisions, c.discount
)

INSERT INTO offer_decision_counts AS c (offer_id, hour, command, status, reason, decisions, discount)
SELECT
    f.offer_id, date_trunc('day', f.hour, 'UTC'), f.command, f.status, f.reason, sum(f.decisions), sum(f.discount)
FROM folded AS f
GROUP BY f.offer_id, date_trunc('day', f.hour, 'UTC'), f.command, f.status, f.reason
ON CONFLICT ON CONSTRAINT offer_decision_counts_pkey DO UPDATE
SET decisions = c.decisions + excluded.decisions, discount = c.discount + excluded.discount

-- name: thin_member_counts
-- Of some offers' days before a given one, keeps the last number of each.
DELETE FROM offer_member_counts AS c
WHERE
    c.offer_id = ANY($1::uuid[]) AND c.hour < $2
    AND EXISTS (
        SELECT FROM offer_member_counts AS later
        WHERE
            later.offer_id = c.offer_id AND later.hour > c.hour
            AND later.hour < date_trunc('day', c.hour, 'UTC') + interval '1 day'
    )

-- name: load_standing
-- How an offer stands: its uses, its members now (up to a bound, $2), what was given away, and whether its members
-- are being computed anew.
SELECT
    o.status, o.version, o.usage_count AS used, o.total_usage_limit AS usage_limit, now() AS now,
    p.counted_until, k.members AS members_exact, coalesce(c.members, 0) AS members_counted,
    r.members_counted_at,
    (
        SELECT coalesce(sum(CASE d.command WHEN 'redeem' THEN d.discount ELSE -d.discount END), 0)
        FROM offer_decision_counts AS d WHERE d.offer_id = o.id AND d.status = 'accepted'
    ) AS discount_given,
    l.keeps_members,
    l.keeps_members
    AND (b.offer_id IS NULL OR b.rules_version <> o.rules_version OR b.finished_at IS NULL) AS is_rebuilding,
    CASE WHEN b.rules_version = o.rules_version THEN b.users_done ELSE 0 END AS users_done,
    CASE WHEN b.rules_version = o.rules_version THEN b.users_total ELSE 0 END AS users_total
FROM offers AS o
INNER JOIN insight_progress AS p ON p.task = 'decisions'
INNER JOIN (
    SELECT q.task, q.counted_until AS members_counted_at FROM insight_progress AS q
) AS r ON r.task = 'members'
CROSS JOIN LATERAL (
    SELECT
        o.status IN ('active', 'paused')
        AND EXISTS (SELECT FROM offer_eligibility_rules AS e WHERE e.offer_id = o.id) AS keeps_members
) AS l
CROSS JOIN LATERAL (
    SELECT count(*) AS members FROM (
        SELECT FROM offer_segment_members AS m
        WHERE m.offer_id = o.id AND m.valid_until > now() ORDER BY m.user_id LIMIT $2::integer + 1
    ) AS s
) AS k
LEFT JOIN offer_segment_rebuilds AS b ON b.offer_id = o.id
LEFT JOIN LATERAL (
    SELECT n.members FROM offer_member_counts AS n WHERE n.offer_id = o.id ORDER BY n.hour DESC LIMIT 1
) AS c ON true
WHERE o.id = $1

-- name: load_outcomes
-- What became of an offer's redemptions since an instant, by the hour or by the day ($3).
SELECT
    date_trunc($3::text, c.hour, 'UTC') AS at, c.command, c.status, c.reason, sum(c.decisions)::bigint AS decisions
FROM offer_decision_counts AS c
WHERE c.offer_id = $1 AND c.hour >= $2 AND (c.command = 'redeem' OR c.status = 'accepted')
GROUP BY date_trunc($3::text, c.hour, 'UTC'), c.command, c.status, c.reason
ORDER BY at, c.command, c.status, c.reason

-- name: load_member_counts
-- How many members an offer had since an instant, and the last number before it.
(
    SELECT c.hour AS at, c.members FROM offer_member_counts AS c
    WHERE c.offer_id = $1 AND c.hour < $2 ORDER BY c.hour DESC LIMIT 1
)
UNION ALL
(
    SELECT c.hour AS at, c.members FROM offer_member_counts AS c
    WHERE c.offer_id = $1 AND c.hour >= $2 ORDER BY c.hour
)
ORDER BY at
