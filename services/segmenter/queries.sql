-- name: share_segments
-- Taken by every batch before it reads the rules; see wait_for_batches.
SELECT pg_advisory_xact_lock_shared(7205759403792793601)

-- name: wait_for_batches
-- Returns once every batch that may have read older rules, or added users unseen, has committed.
SELECT pg_advisory_lock(7205759403792793601)

-- name: let_batches_go_on
-- Gives back what wait_for_batches took, before the transaction's end.
SELECT pg_advisory_unlock(7205759403792793601)

-- name: evaluation_time
-- The instant of an evaluation: after its locks are held.
SELECT clock_timestamp()

-- name: add_users
-- Makes a row for each user not seen before: it is the lock of all that concerns the user.
INSERT INTO users (id) SELECT u.id FROM unnest($1::uuid[]) AS u (id) ON CONFLICT (id) DO NOTHING

-- name: lock_users
-- Locks users, always in id order, so that batches can't deadlock.
SELECT u.id FROM users AS u WHERE u.id = ANY($1::uuid[]) ORDER BY u.id FOR NO KEY UPDATE

-- name: update_users
-- Applies user events; of two the newer by (occurred_at, event_id) wins.
UPDATE users AS u SET created_at = e.registered_at, roles = ARRAY(
    SELECT r.role FROM jsonb_array_elements_text(e.roles::jsonb) AS r (role)
), event_at = e.occurred_at, event_id = e.event_id
FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::timestamptz[], $5::uuid[])
AS e (id, registered_at, roles, occurred_at, event_id)
WHERE u.id = e.id AND (u.event_at IS NULL OR (e.occurred_at, e.event_id) > (u.event_at, u.event_id))

-- name: store_topups
-- Applies topup events: reversed is final, otherwise the newer by (occurred_at, event_id) wins.
INSERT INTO topup_requests AS t (id, user_id, operator_id, kind, amount, status, occurred_at, event_id)
SELECT * FROM unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::numeric[], $6::text[], $7::timestamptz[], $8::uuid[]
)
ON CONFLICT (id) DO UPDATE SET
    operator_id = excluded.operator_id, kind = excluded.kind, amount = excluded.amount,
    status = excluded.status, occurred_at = excluded.occurred_at, event_id = excluded.event_id
WHERE t.user_id = excluded.user_id
    AND (excluded.status = 'reversed', excluded.occurred_at, excluded.event_id)
    > (t.status = 'reversed', t.occurred_at, t.event_id)
RETURNING t.id

-- name: find_foreign_topups
-- Which of these topups belong to another user than the event says.
SELECT t.id FROM topup_requests AS t
INNER JOIN unnest($1::uuid[], $2::uuid[]) AS e (id, user_id) ON t.id = e.id AND t.user_id <> e.user_id

-- name: load_users
-- Registration and roles, in the order of the ids given.
SELECT (extract(EPOCH FROM u.created_at) * 1000000)::bigint AS registered_us, u.roles
FROM unnest($1::uuid[]) WITH ORDINALITY AS n (id, place)
INNER JOIN users AS u ON u.id = n.id ORDER BY n.place

-- name: load_histories
-- Counted transactions by place of the user in the ids given, each user's newest first.
SELECT n.place - 1 AS place, (extract(EPOCH FROM t.occurred_at) * 1000000)::bigint AS occurred_us,
    (t.amount * 100)::bigint AS cents, t.operator_id, t.kind = 'topup' AS is_topup
FROM unnest($1::uuid[]) WITH ORDINALITY AS n (id, place)
INNER JOIN topup_requests AS t ON t.user_id = n.id AND t.status = 'succeeded'
ORDER BY n.place, t.occurred_at DESC

-- name: load_offers
-- The offers that keep members (all, or one), with their rules and allowed roles.
SELECT o.id, o.rules_version, o.eligibility_logic, o.allow_all,
    ARRAY(SELECT a.role FROM offer_allowed_roles AS a WHERE a.offer_id = o.id) AS allowed_roles,
    (
        SELECT jsonb_agg(jsonb_build_object(
            'rule_key', r.rule_key, 'rule_type', r.rule_type, 'params', r.params
        ))
        FROM offer_eligibility_rules AS r WHERE r.offer_id = o.id
    ) AS rules
FROM offers AS o
WHERE o.status IN ('active', 'paused') AND ($1::uuid IS NULL OR o.id = $1)
    AND EXISTS (SELECT FROM offer_eligibility_rules AS r WHERE r.offer_id = o.id)

-- name: load_allowed_users
-- Which of these users are allowed by name, and where.
SELECT a.offer_id, a.user_id FROM offer_allowed_users AS a WHERE a.user_id = ANY($1::uuid[])

-- name: load_members
-- The stored memberships of these users (of all offers, or of one).
SELECT m.offer_id, m.user_id, m.rules_version,
    CASE
        WHEN m.valid_until = 'infinity' THEN 9223372036854775807
        ELSE (extract(EPOCH FROM m.valid_until) * 1000000)::bigint
    END AS valid_until_us
FROM offer_segment_members AS m
WHERE m.user_id = ANY($1::uuid[]) AND ($2::uuid IS NULL OR m.offer_id = $2)

-- name: upsert_members
-- Writes memberships; times are microseconds since 1970, the greatest of all meaning no lapse.
INSERT INTO offer_segment_members AS m (offer_id, user_id, valid_until, rules_version, entered_at)
SELECT e.offer_id, e.user_id,
    CASE
        WHEN e.valid_until_us = 9223372036854775807 THEN 'infinity'
        ELSE timestamptz 'epoch' + e.valid_until_us * interval '1 microsecond'
    END,
    e.rules_version, now()
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::integer[])
AS e (offer_id, user_id, valid_until_us, rules_version)
ON CONFLICT (offer_id, user_id) DO UPDATE SET
    valid_until = excluded.valid_until, rules_version = excluded.rules_version,
    entered_at = CASE WHEN m.valid_until <= now() THEN now() ELSE m.entered_at END

-- name: delete_members
-- Ends memberships.
DELETE FROM offer_segment_members AS m
USING unnest($1::uuid[], $2::uuid[]) AS e (offer_id, user_id)
WHERE m.offer_id = e.offer_id AND m.user_id = e.user_id

-- name: lock_lapsed
-- Locks users one of whose memberships has lapsed; those a batch is at work on are left for later.
SELECT u.id FROM users AS u
WHERE u.id IN (
    SELECT m.user_id FROM offer_segment_members AS m
    WHERE m.valid_until <= now() ORDER BY m.valid_until LIMIT $1
)
ORDER BY u.id FOR NO KEY UPDATE SKIP LOCKED

-- name: delete_lapsed
-- Ends what has lapsed of these users' memberships.
DELETE FROM offer_segment_members AS m
WHERE m.user_id = ANY($1::uuid[]) AND m.valid_until <= now()
RETURNING m.offer_id, m.user_id, (extract(EPOCH FROM m.valid_until) * 1000000)::bigint AS valid_until_us

-- name: open_rebuilds
-- Asks for a rebuild of every offer (or of those given) whose members were not built by its present rules.
INSERT INTO offer_segment_rebuilds AS b (offer_id, rules_version, live, users_total)
SELECT o.id, o.rules_version, l.live, u.total
FROM offers AS o
CROSS JOIN LATERAL (
    SELECT o.status IN ('active', 'paused')
        AND EXISTS (SELECT FROM offer_eligibility_rules AS r WHERE r.offer_id = o.id) AS live
) AS l
CROSS JOIN LATERAL (
    SELECT greatest(c.reltuples, 0)::bigint AS total FROM pg_class AS c WHERE c.oid = 'users'::regclass
) AS u
LEFT JOIN offer_segment_rebuilds AS e ON e.offer_id = o.id
WHERE ($1::uuid[] IS NULL OR o.id = ANY($1))
    AND (l.live OR e.offer_id IS NOT NULL)
    AND ($2 OR e.offer_id IS NULL OR (e.rules_version, e.live) <> (o.rules_version, l.live))
ON CONFLICT (offer_id) DO UPDATE SET
    rules_version = excluded.rules_version, live = excluded.live, users_total = excluded.users_total,
    after_user_id = NULL, users_done = 0, entered = 0, members_left = 0,
    requested_at = now(), finished_at = NULL
WHERE $2 OR (b.rules_version, b.live) <> (excluded.rules_version, excluded.live)
RETURNING b.offer_id

-- name: claim_rebuild
-- The oldest unfinished rebuild that nobody is at work on.
SELECT b.offer_id, b.rules_version, b.live, b.after_user_id, b.users_done, b.users_total
FROM offer_segment_rebuilds AS b WHERE b.finished_at IS NULL
ORDER BY b.requested_at LIMIT 1 FOR UPDATE SKIP LOCKED

-- name: next_users
-- The next users of a rebuild, in id order.
SELECT u.id FROM users AS u WHERE $1::uuid IS NULL OR u.id > $1 ORDER BY u.id LIMIT $2

-- name: next_members
-- The next members of an offer that keeps none any more, in id order.
SELECT m.user_id AS id FROM offer_segment_members AS m
WHERE m.offer_id = $3 AND ($1::uuid IS NULL OR m.user_id > $1) ORDER BY m.user_id LIMIT $2

-- name: advance_rebuild
-- Notes a rebuild's progress.
UPDATE offer_segment_rebuilds
SET after_user_id = $2, users_done = users_done + $3, entered = entered + $4, members_left = members_left + $5
WHERE offer_id = $1

-- name: finish_rebuild
-- Closes a rebuild and returns what it did.
UPDATE offer_segment_rebuilds SET finished_at = now(), users_total = users_done
WHERE offer_id = $1
RETURNING rules_version, users_done, entered, members_left, requested_at, finished_at
