-- name: decision_period
-- The period that decisions are kept in; it stays open until the transaction ends.
SELECT decision_period()

-- name: find_offer_ids
-- Offers named by code, or by a redemption to revoke.
SELECT o.id FROM offers AS o WHERE o.code = ANY($1::text[])
UNION
SELECT r.offer_id FROM offer_redemptions AS r WHERE r.id = ANY($2::uuid[])
UNION
SELECT r.offer_id FROM offer_redemptions AS r WHERE r.request_id = ANY($3::uuid[])

-- name: find_open_offer_ids
-- The offers a quote that names none may be for.
SELECT o.id FROM offers AS o
WHERE o.status = 'active' AND (o.starts_at IS NULL OR o.starts_at <= now())
    AND (o.ends_at IS NULL OR o.ends_at > now())

-- name: lock_offers
-- Takes the locks that limits rest on, always in id order, so that batches can't deadlock. An offer without limits
-- needs none, unless the batch was caught out by an edit ($2); see change_usage. Each row's
-- decided_at is after its own lock. The rest is as load_offers gives it.
WITH locked AS MATERIALIZED (
    SELECT o.id, o.definition_version, o.rules_version, o.usage_count
    FROM offers AS o
    WHERE o.id = ANY($1::uuid[]) AND ($2 OR o.total_usage_limit IS NOT NULL OR o.per_user_limit IS NOT NULL)
    ORDER BY o.id FOR NO KEY UPDATE
)

SELECT l.id, l.definition_version, l.rules_version, l.usage_count, clock_timestamp() AS decided_at FROM locked AS l

-- name: load_offers
-- The present versions and counts of offers, and the instant of a batch's decisions: after its locks are held.
SELECT o.id, o.definition_version, o.rules_version, o.usage_count, clock_timestamp() AS decided_at
FROM offers AS o WHERE o.id = ANY($1::uuid[])

-- name: decision_time
-- That instant where there are no offers.
SELECT clock_timestamp()

-- name: load_definitions
-- What offers are, with their products, at one instant.
SELECT o.id, o.code, o.title, o.status, o.discount_type, o.discount_value, o.per_user_limit,
    o.total_usage_limit, o.apply_to, o.allow_all, o.starts_at, o.ends_at, o.definition_version, o.rules_version,
    EXISTS (SELECT FROM offer_eligibility_rules AS r WHERE r.offer_id = o.id) AS has_rules,
    (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'operator_product_id', p.operator_product_id,
            'supplier_product_mapping_id', p.supplier_product_mapping_id,
            'price_override', p.price_override::text,
            'max_quantity_per_purchase', p.max_quantity_per_purchase
        ) ORDER BY p.id), '[]')
        FROM offer_products AS p WHERE p.offer_id = o.id
    ) AS products
FROM offers AS o WHERE o.id = ANY($1::uuid[])

-- name: load_standings
-- How each (offer, user) stands: allowed, a member by a row of the current rules, and uses so far.
SELECT p.offer_id, p.user_id,
    CASE WHEN o.allow_all THEN true ELSE offer_allows_user(p.offer_id, p.user_id) END AS allowed,
    coalesce(m.rules_version = o.rules_version AND m.valid_until > $3, false) AS is_member,
    CASE WHEN o.per_user_limit IS NULL THEN 0 ELSE (
        SELECT count(*) FROM offer_redemptions AS r
        WHERE r.offer_id = p.offer_id AND r.user_id = p.user_id AND r.revoked_at IS NULL
    ) END AS uses
FROM unnest($1::uuid[], $2::uuid[]) AS p (offer_id, user_id)
INNER JOIN offers AS o ON o.id = p.offer_id
LEFT JOIN offer_segment_members AS m ON m.offer_id = p.offer_id AND m.user_id = p.user_id

-- name: explain
-- Asks the exact function for many (offer, user) at once.
SELECT p.offer_id, p.user_id, o.eligibility_logic, e.rule_key, e.rule_type, e.passed, e.required,
    e.actual, nullif(e.valid_until, 'infinity') AS valid_until, e.missing
FROM unnest($1::uuid[], $2::uuid[]) AS p (offer_id, user_id)
INNER JOIN offers AS o ON o.id = p.offer_id
CROSS JOIN LATERAL explain_eligibility(p.offer_id, p.user_id, $3) AS e

-- name: load_redemptions
-- Locks and reads redemptions that revokes name, by their id or by the request that made them.
SELECT r.id, r.request_id, r.offer_id, r.user_id, r.operator_product_id, r.supplier_product_mapping_id,
    r.quantity, r.price_paid, r.discount_amount, r.revoked_at, r.created_at
FROM offer_redemptions AS r WHERE r.id = ANY($1::uuid[]) OR r.request_id = ANY($2::uuid[])
ORDER BY r.id FOR NO KEY UPDATE

-- name: load_redemptions_of
-- Redemptions by the requests that made them, whose decisions are kept no longer.
SELECT r.id, r.request_id, r.offer_id, r.user_id, r.operator_product_id, r.supplier_product_mapping_id,
    r.quantity, r.price_paid, r.discount_amount, r.revoked_at, r.created_at
FROM offer_redemptions AS r WHERE r.request_id = ANY($1::uuid[])

-- name: load_decisions
-- Decisions already made on these requests.
SELECT d.request_id, d.content_hash, d.command, d.status, d.reason, d.offer_id, d.user_id,
    d.redemption_id, d.request, d.reply, d.decided_at, d.inputs, d.period
FROM redemption_decisions AS d WHERE d.request_id = ANY($1::uuid[])

-- name: change_usage
-- Counts a batch's redemptions and revocations, one row an offer. An offer decided without its lock ($3) must still
-- have no limits; one that has some by now is not counted and not returned.
WITH locked AS MATERIALIZED (
    SELECT o.id, c.change
    FROM offers AS o
    INNER JOIN unnest($1::uuid[], $2::integer[], $3::boolean[]) AS c (offer_id, change, is_locked) ON c.offer_id = o.id
    WHERE c.is_locked OR (o.total_usage_limit IS NULL AND o.per_user_limit IS NULL)
    ORDER BY o.id FOR NO KEY UPDATE OF o
)

UPDATE offers AS o SET usage_count = o.usage_count + l.change
FROM locked AS l WHERE o.id = l.id
RETURNING o.id

-- name: store_few
-- Stores a small batch at once: decisions ($1 to $13), redemptions ($14 to $24), and as change_usage does ($25 to $27).
WITH decided AS (
    INSERT INTO redemption_decisions (
        request_id, content_hash, command, status, reason, offer_id, user_id, redemption_id, reply, decided_at,
        inputs, request, period
    )
    SELECT * FROM unnest(
        $1::uuid[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::uuid[], $8::uuid[],
        $9::text[], $10::timestamptz[], $11::text[], $12::jsonb[], $13::date[]
    )
),

redeemed AS (
    INSERT INTO offer_redemptions (
        id, request_id, offer_id, user_id, operator_product_id, supplier_product_mapping_id, quantity, price_paid,
        discount_amount, revoked_at, created_at
    )
    SELECT * FROM unnest(
        $14::uuid[], $15::uuid[], $16::uuid[], $17::uuid[], $18::uuid[], $19::uuid[], $20::integer[], $21::numeric[],
        $22::numeric[], $23::timestamptz[], $24::timestamptz[]
    )
),

locked AS MATERIALIZED (
    SELECT o.id, c.change
    FROM offers AS o
    INNER JOIN unnest($25::uuid[], $26::integer[], $27::boolean[]) AS c (offer_id, change, is_locked)
        ON c.offer_id = o.id
    WHERE c.is_locked OR (o.total_usage_limit IS NULL AND o.per_user_limit IS NULL)
    ORDER BY o.id FOR NO KEY UPDATE OF o
)

UPDATE offers AS o SET usage_count = o.usage_count + l.change
FROM locked AS l WHERE o.id = l.id
RETURNING o.id

-- name: revoke
-- Cancels redemptions; one already cancelled keeps its time.
UPDATE offer_redemptions SET revoked_at = $2 WHERE id = ANY($1::uuid[]) AND revoked_at IS NULL

-- name: open_decision_period
-- Opens the present month's period, if another is open.
SELECT open_decision_period()

-- name: drop_decision_periods
-- Drops the periods that were closed before an instant.
SELECT d.period FROM drop_decision_periods($1) AS d (period)
