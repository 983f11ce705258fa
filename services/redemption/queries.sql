-- name: find_offer_ids
-- The offers a batch may change, named by id, by code, or by a redemption to revoke.
SELECT o.id FROM offers AS o WHERE o.id = ANY($1::uuid[])
UNION
SELECT o.id FROM offers AS o WHERE o.code = ANY($2::text[])
UNION
SELECT r.offer_id FROM offer_redemptions AS r WHERE r.id = ANY($3::uuid[])
UNION
SELECT r.offer_id FROM offer_redemptions AS r WHERE r.request_id = ANY($4::uuid[])

-- name: find_open_offer_ids
-- The offers a quote that names none may be for.
SELECT o.id FROM offers AS o
WHERE o.status = 'active' AND (o.starts_at IS NULL OR o.starts_at <= now())
    AND (o.ends_at IS NULL OR o.ends_at > now())

-- name: lock_offers
-- Takes the one lock decisions rest on, always in id order, so that batches can't deadlock.
SELECT o.id FROM offers AS o WHERE o.id = ANY($1::uuid[]) ORDER BY o.id FOR NO KEY UPDATE

-- name: decision_time
-- The instant of a batch's decisions: after its locks are held.
SELECT clock_timestamp()

-- name: load_offers
-- The offers as the decision needs them.
SELECT o.id, o.code, o.title, o.status, o.discount_type, o.discount_value, o.per_user_limit,
    o.total_usage_limit, o.usage_count, o.apply_to, o.starts_at, o.ends_at,
    EXISTS (SELECT FROM offer_eligibility_rules AS r WHERE r.offer_id = o.id) AS has_rules
FROM offers AS o WHERE o.id = ANY($1::uuid[])

-- name: load_products
-- The products those offers name.
SELECT p.offer_id, p.operator_product_id, p.supplier_product_mapping_id, p.price_override,
    p.max_quantity_per_purchase
FROM offer_products AS p WHERE p.offer_id = ANY($1::uuid[])

-- name: load_standings
-- How each (offer, user) stands: allowed, a member by a row of the current rules, and uses so far.
SELECT p.offer_id, p.user_id,
    offer_allows_user(p.offer_id, p.user_id) AS allowed,
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
-- Redemptions that revokes name, by their id or by the request that made them.
SELECT r.id, r.request_id, r.offer_id, r.user_id, r.operator_product_id, r.supplier_product_mapping_id,
    r.quantity, r.price_paid, r.discount_amount, r.revoked_at, r.created_at
FROM offer_redemptions AS r WHERE r.id = ANY($1::uuid[]) OR r.request_id = ANY($2::uuid[])

-- name: load_decisions
-- Decisions already made on these requests.
SELECT d.request_id, d.content_hash, d.command, d.status, d.reason, d.offer_id, d.user_id,
    d.redemption_id, d.request, d.reply, d.decided_at
FROM redemption_decisions AS d WHERE d.request_id = ANY($1::uuid[])

-- name: change_usage
-- Counts a batch's redemptions and revocations, one row an offer.
UPDATE offers AS o SET usage_count = o.usage_count + c.change
FROM unnest($1::uuid[], $2::integer[]) AS c (offer_id, change)
WHERE o.id = c.offer_id AND c.change <> 0

-- name: revoke
-- Cancels redemptions; one already cancelled keeps its time.
UPDATE offer_redemptions SET revoked_at = $2 WHERE id = ANY($1::uuid[]) AND revoked_at IS NULL
