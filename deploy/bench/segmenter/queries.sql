-- name: vacuum
-- The maintenance autovacuum would come to after a load.
VACUUM ANALYZE

-- name: forget_announcements
-- The entries of the first build, told long ago in a system that has been running.
TRUNCATE outbox

-- name: data_set
-- How much there is at the start of the rounds.
SELECT
    (SELECT count(*) FROM offer_segment_members) AS members,
    (SELECT count(*) FROM topup_requests) AS history_rows,
    current_setting('server_version') AS postgres_version

-- name: count_stored
-- How many of these topups are stored.
SELECT count(*) FROM topup_requests AS t WHERE t.id = any($1::uuid[])

-- name: count_members
-- How many memberships there are.
SELECT count(*) FROM offer_segment_members

-- name: unsent
-- Whether announcements wait to be sent.
SELECT EXISTS (SELECT FROM outbox)

-- name: disagreements
-- How many of these pairs have another membership than the exact function says.
SELECT count(*)
FROM unnest($1::uuid[], $2::uuid[]) AS p (offer_id, user_id)
INNER JOIN offers AS o ON p.offer_id = o.id
LEFT JOIN offer_segment_members AS m ON p.offer_id = m.offer_id AND p.user_id = m.user_id
WHERE is_user_eligible_for_offer(p.offer_id, p.user_id)
    <> coalesce(m.rules_version = o.rules_version AND m.valid_until > now(), false)

-- name: entered
-- Which of these users are members of the offer by now.
SELECT m.user_id FROM offer_segment_members AS m WHERE m.offer_id = $1::uuid AND m.user_id = any($2::uuid[])

-- name: create_recomputed
-- The table the cron fills: like the real one, indexes included.
CREATE TABLE bench_recomputed (LIKE offer_segment_members INCLUDING ALL)

-- name: fill_recomputed
-- What the cron's previous run left.
INSERT INTO bench_recomputed (offer_id, user_id, valid_until, rules_version)
SELECT m.offer_id, m.user_id, m.valid_until, m.rules_version
FROM offer_segment_members AS m WHERE m.offer_id = any($1::uuid[])

-- name: clear_offer
-- The cron's first statement for an offer.
DELETE FROM bench_recomputed WHERE offer_id = $1::uuid

-- name: recompute_offer
-- The cron's second statement for an offer: every user asked.
INSERT INTO bench_recomputed (offer_id, user_id, valid_until)
SELECT $1::uuid, u.id, 'infinity' FROM users AS u WHERE is_user_eligible_for_offer($1::uuid, u.id)

-- name: copy_database
-- The same data once more, for the worker that keeps no memberships; it comes with a checkpoint, so that the
-- rounds don't write out what the load left. The linter knows no STRATEGY.
CREATE DATABASE ingest TEMPLATE offers STRATEGY file_copy -- noqa: PRS
