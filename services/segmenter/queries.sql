-- name: load_offers
-- The offers that keep members, in id order; with their definition only those of a version not yet known.
SELECT o.id, o.rules_version,
    CASE WHEN k.id IS NULL THEN jsonb_build_object(
        'logic', o.eligibility_logic, 'allow_all', o.allow_all,
        'allowed_roles', ARRAY(SELECT a.role FROM offer_allowed_roles AS a WHERE a.offer_id = o.id),
        'rules', (
            SELECT jsonb_agg(jsonb_build_object(
                'rule_key', r.rule_key, 'rule_type', r.rule_type, 'params', r.params
            ))
            FROM offer_eligibility_rules AS r WHERE r.offer_id = o.id
        )
    ) END AS definition
FROM offers AS o
LEFT JOIN unnest($1::uuid[], $2::integer[]) AS k (id, rules_version)
    ON k.id = o.id AND k.rules_version = o.rules_version
WHERE o.status IN ('active', 'paused')
    AND EXISTS (SELECT FROM offer_eligibility_rules AS r WHERE r.offer_id = o.id)
ORDER BY o.id

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
-- The database's clock.
SELECT clock_timestamp()

-- name: add_users
-- Makes a row for each user not seen before: it is the lock of all that concerns the user.
INSERT INTO users (id) SELECT u.id FROM unnest($1::uuid[]) AS u (id) ON CONFLICT (id) DO NOTHING

-- name: lock_users
-- Locks users, always in id order, so that batches can't deadlock. Returns how many there are, when they
-- registered (unknown is -infinity) as one string of fixed-width values, and an instant after the locks are held.
WITH locked AS MATERIALIZED (
    SELECT u.id, u.created_at FROM users AS u WHERE u.id = ANY($1::uuid[]) ORDER BY u.id FOR NO KEY UPDATE
)

SELECT count(*) AS users,
    string_agg(timestamptz_send(coalesce(l.created_at, '-infinity')), '' ORDER BY l.id) AS registered,
    clock_timestamp() AS evaluated_at
FROM locked AS l

-- name: update_users
-- Applies user events; of two the newer by (occurred_at, event_id) wins.
UPDATE users AS u SET created_at = e.registered_at, roles = ARRAY(
    SELECT r.role FROM jsonb_array_elements_text(e.roles::jsonb) AS r (role)
), event_at = e.occurred_at, event_id = e.event_id
FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::timestamptz[], $5::uuid[])
AS e (id, registered_at, roles, occurred_at, event_id)
WHERE u.id = e.id AND (u.event_at IS NULL OR (e.occurred_at, e.event_id) > (u.event_at, u.event_id))
RETURNING u.id

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
RETURNING t.id, t.xmax = 0 AS is_new

-- name: find_foreign_topups
-- Which of these topups belong to another user than the event says.
SELECT t.id FROM topup_requests AS t
INNER JOIN unnest($1::uuid[], $2::uuid[]) AS e (id, user_id) ON t.id = e.id AND t.user_id <> e.user_id

-- name: load_role_holders
-- Which of these users hold which of these roles, by the user's place in the ids given.
SELECT r.role, n.place - 1 AS place
FROM unnest($1::uuid[]) WITH ORDINALITY AS n (id, place)
INNER JOIN users AS u ON u.id = n.id
CROSS JOIN LATERAL unnest(u.roles) AS r (role)
WHERE r.role = ANY($2::text[])

-- name: load_named
-- Which of these users are allowed by name in which of these offers.
SELECT a.offer_id, n.place - 1 AS place
FROM unnest($1::uuid[]) WITH ORDINALITY AS n (id, place)
INNER JOIN offer_allowed_users AS a ON a.user_id = n.id
WHERE a.offer_id = ANY($2::uuid[])

-- name: load_members
-- The stored memberships of these users (of all offers, or of some), one column of fixed-width values each.
SELECT
    string_agg(int8send(n.place), '') AS places,
    string_agg(uuid_send(m.offer_id), '') AS offers,
    string_agg(timestamptz_send(m.valid_until), '') AS valid_until,
    string_agg(int4send(m.rules_version), '') AS rules_versions
FROM unnest($1::uuid[]) WITH ORDINALITY AS n (id, place)
INNER JOIN offer_segment_members AS m ON m.user_id = n.id
WHERE $2::uuid[] IS NULL OR m.offer_id = ANY($2)

-- name: upsert_members
-- Writes memberships. One that goes on keeps the time at which it began.
INSERT INTO offer_segment_members (offer_id, user_id, valid_until, rules_version, entered_at)
SELECT e.offer_id, e.user_id, e.valid_until, e.rules_version, clock_timestamp()
FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::integer[])
AS e (offer_id, user_id, valid_until, rules_version)
ON CONFLICT (offer_id, user_id) DO UPDATE SET
    valid_until = excluded.valid_until, rules_version = excluded.rules_version

-- name: delete_members
-- Ends memberships.
DELETE FROM offer_segment_members AS m
USING unnest($1::uuid[], $2::uuid[]) AS e (offer_id, user_id)
WHERE m.offer_id = e.offer_id AND m.user_id = e.user_id

-- name: lock_lapsed
-- Locks users a membership of whom has come to its end; those somebody is at work on are left for later.
SELECT u.id FROM users AS u
WHERE u.id = ANY(ARRAY(
    SELECT m.user_id FROM offer_segment_members AS m
    WHERE m.valid_until <= (SELECT clock_timestamp()) AND m.valid_until < 'infinity'
    ORDER BY m.valid_until LIMIT $1
))
ORDER BY u.id FOR NO KEY UPDATE SKIP LOCKED

-- name: find_lapsing
-- Whose memberships end after one instant and no later than another, the first to end first.
SELECT m.user_id FROM offer_segment_members AS m
WHERE m.valid_until > $1 AND m.valid_until <= $2 AND m.valid_until < 'infinity' ORDER BY m.valid_until

-- name: seconds_to_next_lapse
-- How long the membership that ends first still holds; null if none ends.
SELECT extract(EPOCH FROM min(m.valid_until) - clock_timestamp())::float8
FROM offer_segment_members AS m WHERE m.valid_until < 'infinity'

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

-- name: claim_rebuilds
-- The oldest unfinished rebuild that nobody is at work on, and those that go the same way from the same place.
WITH oldest AS (
    SELECT b.offer_id, b.live, b.after_user_id FROM offer_segment_rebuilds AS b
    WHERE b.finished_at IS NULL ORDER BY b.requested_at, b.offer_id LIMIT 1 FOR UPDATE SKIP LOCKED
)

SELECT b.offer_id, b.live, b.after_user_id, b.users_done, b.users_total
FROM offer_segment_rebuilds AS b
INNER JOIN oldest AS o ON b.offer_id = o.offer_id OR (b.live AND o.live)
WHERE b.finished_at IS NULL AND b.after_user_id IS NOT DISTINCT FROM o.after_user_id
ORDER BY b.offer_id FOR UPDATE OF b SKIP LOCKED

-- name: next_users
-- The next users of a rebuild, in id order.
SELECT u.id FROM users AS u
WHERE u.id >= coalesce($1::uuid, '00000000-0000-0000-0000-000000000000') AND u.id IS DISTINCT FROM $1
ORDER BY u.id LIMIT $2

-- name: next_members
-- The next members of an offer that keeps none any more, in id order.
SELECT m.user_id AS id FROM offer_segment_members AS m
WHERE m.offer_id = $3 AND m.user_id >= coalesce($1::uuid, '00000000-0000-0000-0000-000000000000')
    AND m.user_id IS DISTINCT FROM $1
ORDER BY m.user_id LIMIT $2

-- name: advance_rebuilds
-- Notes the progress of rebuilds that went on together.
UPDATE offer_segment_rebuilds AS b
SET after_user_id = $1, users_done = b.users_done + $2,
    entered = b.entered + c.entered, members_left = b.members_left + c.members_left
FROM unnest($3::uuid[], $4::integer[], $5::integer[]) AS c (offer_id, entered, members_left)
WHERE b.offer_id = c.offer_id

-- name: finish_rebuilds
-- Closes rebuilds and returns what they did.
UPDATE offer_segment_rebuilds SET finished_at = now(), users_total = users_done
WHERE offer_id = ANY($1::uuid[])
RETURNING offer_id, rules_version, users_done, entered, members_left, requested_at, finished_at
