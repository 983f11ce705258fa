-- name: vacuum
-- The maintenance autovacuum would come to after a load.
VACUUM ANALYZE

-- name: store_members
-- The members of every offer, as the exact functions say. Who has no topup that a rule may count is none.
INSERT INTO offer_segment_members (offer_id, user_id, valid_until, rules_version)
SELECT c.offer_id, c.user_id, c.valid_until, c.rules_version
FROM (
    SELECT o.id AS offer_id, p.user_id, eligibility_valid_until(o.id, p.user_id) AS valid_until, o.rules_version
    FROM (
        SELECT r.offer_id, t.user_id
        FROM offer_eligibility_rules AS r
        INNER JOIN topup_requests AS t ON t.operator_id = (r.params ->> 'operator_id')::uuid
        UNION
        SELECT r.offer_id, t.user_id
        FROM offer_eligibility_rules AS r CROSS JOIN topup_requests AS t
        WHERE r.params ->> 'operator_id' IS NULL
    ) AS p
    INNER JOIN offers AS o ON p.offer_id = o.id
) AS c
WHERE c.valid_until IS NOT NULL

-- name: data_set
-- How much there is at the start of each measurement.
SELECT
    (SELECT count(*) FROM offer_segment_members) AS members,
    current_setting('server_version') AS postgres_version

-- name: copy_database
-- A measurement's own copy; it comes with a checkpoint, so that none writes out what another left. The linter
-- knows no STRATEGY.
CREATE DATABASE run TEMPLATE offers STRATEGY file_copy -- noqa: PRS

-- name: drop_database
-- Ends a measurement's copy, whoever is connected still.
DROP DATABASE IF EXISTS run WITH (FORCE)

-- name: stored
-- What a measurement left behind, and whether the counts and limits are exact.
SELECT
    (SELECT count(*) FROM offer_redemptions AS r WHERE r.revoked_at IS NULL) AS redemptions,
    (SELECT count(*) FROM redemption_decisions AS d WHERE d.status = 'accepted') AS decisions,
    (SELECT sum(o.usage_count) FROM offers AS o) AS usage_counted,
    (
        SELECT count(*) FROM offers AS o
        WHERE o.usage_count <> (
            SELECT count(*) FROM offer_redemptions AS r WHERE r.offer_id = o.id AND r.revoked_at IS NULL
        )
    ) AS offers_miscounted,
    (
        SELECT count(*) FROM (
            SELECT FROM offer_redemptions AS r INNER JOIN offers AS o ON r.offer_id = o.id
            WHERE r.revoked_at IS NULL
            GROUP BY o.id, r.user_id HAVING count(*) > o.per_user_limit
        ) AS above
    ) AS users_over_limit

-- name: count_batches
-- How many transactions stored the decisions: each has one time for all of its own.
SELECT count(DISTINCT d.decided_at) FROM redemption_decisions AS d

-- name: lock_offer
-- The design's transaction begins: the offer, locked until it ends.
SELECT o.status, o.starts_at, o.ends_at, o.discount_type, o.discount_value, o.per_user_limit,
    o.total_usage_limit, o.usage_count
FROM offers AS o WHERE o.id = $1::uuid FOR UPDATE

-- name: is_eligible
-- The design's transaction asks the exact function.
SELECT is_user_eligible_for_offer($1::uuid, $2::uuid)

-- name: count_uses
-- The design's transaction counts what the user has used already.
SELECT count(*) FROM offer_redemptions AS r
WHERE r.offer_id = $1::uuid AND r.user_id = $2::uuid AND r.revoked_at IS NULL

-- name: count_one
-- The design's transaction counts this use.
UPDATE offers SET usage_count = usage_count + 1 WHERE id = $1::uuid

-- name: insert_redemption
-- The design's transaction stores this use.
INSERT INTO offer_redemptions (
    request_id, offer_id, user_id, operator_product_id, quantity, price_paid, discount_amount
) VALUES ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::integer, $6::numeric, $7::numeric)

-- name: number_rows
-- The stored decisions in the order they were made.
CREATE TEMPORARY TABLE numbered AS
SELECT d.request_id, row_number() OVER (ORDER BY d.decided_at, d.request_id) AS place
FROM redemption_decisions AS d

-- name: index_numbers
-- Serves reading the rows in batches.
CREATE UNIQUE INDEX ON numbered (place) INCLUDE (request_id)

-- name: decisions_between
-- One batch of stored decisions, whole.
SELECT d.* FROM numbered AS n INNER JOIN redemption_decisions AS d ON n.request_id = d.request_id
WHERE n.place > $1 AND n.place <= $2 ORDER BY n.place

-- name: redemptions_between
-- The redemptions of one batch of stored decisions, whole.
SELECT r.* FROM numbered AS n INNER JOIN offer_redemptions AS r ON n.request_id = r.request_id
WHERE n.place > $1 AND n.place <= $2 ORDER BY n.place

-- name: drop_copies
-- What an earlier pass left.
DROP TABLE IF EXISTS bench_decisions, bench_redemptions

-- name: create_decisions_copy
-- A table for the same rows: like the real one, indexes included.
CREATE TABLE bench_decisions (LIKE redemption_decisions INCLUDING ALL)

-- name: create_redemptions_copy
-- A table for the same rows: like the real one, indexes included, but with no reference to offers to check.
CREATE TABLE bench_redemptions (LIKE offer_redemptions INCLUDING ALL)

-- name: count_copied
-- How many rows COPY stored.
SELECT (SELECT count(*) FROM bench_decisions) + (SELECT count(*) FROM bench_redemptions)
