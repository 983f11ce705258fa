-- name: list_offers
-- A page of offers, newest first, after a given one.
SELECT
    o.id, o.code, o.title, o.description, o.status, o.discount_type, o.discount_value, o.per_user_limit,
    o.total_usage_limit, o.usage_count, o.apply_to, o.allow_all, o.eligibility_logic,
    nullif(o.starts_at, '-infinity') AS starts_at, nullif(o.ends_at, 'infinity') AS ends_at,
    o.version, o.rules_version, o.created_by, o.created_at, o.updated_at
FROM offers AS o
LEFT JOIN offers AS previous ON previous.id = $3::uuid
WHERE
    ($1::text IS NULL OR o.status = $1)
    AND (
        $2::text IS NULL
        OR strpos(lower(o.code), lower($2)) > 0
        OR strpos(lower(o.title), lower($2)) > 0
    )
    AND (
        $3 IS NULL
        OR (
            o.created_at <= previous.created_at
            AND (o.created_at < previous.created_at OR o.id > previous.id)
        )
    )
ORDER BY o.created_at DESC, o.id
LIMIT $4

-- name: load_offer
-- One offer with its lists.
SELECT
    o.id, o.code, o.title, o.description, o.status, o.discount_type, o.discount_value, o.per_user_limit,
    o.total_usage_limit, o.usage_count, o.apply_to, o.allow_all, o.eligibility_logic,
    nullif(o.starts_at, '-infinity') AS starts_at, nullif(o.ends_at, 'infinity') AS ends_at,
    o.version, o.rules_version, o.created_by, o.created_at, o.updated_at,
    (
        SELECT coalesce(jsonb_agg(
            jsonb_build_object(
                'operator_product_id', p.operator_product_id,
                'supplier_product_mapping_id', p.supplier_product_mapping_id,
                'price_override', p.price_override::text,
                'max_quantity_per_purchase', p.max_quantity_per_purchase
            ) ORDER BY p.operator_product_id, p.supplier_product_mapping_id, p.id
        ), '[]')
        FROM offer_products AS p WHERE p.offer_id = o.id
    ) AS products,
    ARRAY(SELECT u.user_id FROM offer_allowed_users AS u WHERE u.offer_id = o.id ORDER BY u.user_id) AS allowed_users,
    ARRAY(SELECT a.role FROM offer_allowed_roles AS a WHERE a.offer_id = o.id ORDER BY a.role) AS allowed_roles,
    (
        SELECT coalesce(jsonb_agg(
            jsonb_build_object(
                'rule_key', r.rule_key, 'rule_type', r.rule_type, 'params', r.params, 'description', r.description,
                'enabled', r.enabled
            ) ORDER BY r.position, r.rule_key
        ), '[]')
        FROM (
            SELECT e.rule_key, e.rule_type, e.params, e.description, e.position, true AS enabled
            FROM offer_eligibility_rules AS e WHERE e.offer_id = o.id
            UNION ALL
            SELECT d.rule_key, d.rule_type, d.params, d.description, d.position, false AS enabled
            FROM jsonb_to_recordset(o.disabled_rules)
                AS d (rule_key text, rule_type text, params jsonb, description text, position integer)
        ) AS r
    ) AS rules
FROM offers AS o
WHERE o.id = $1

-- name: offer_exists
-- Whether there is such an offer.
SELECT EXISTS (SELECT FROM offers WHERE id = $1)

-- name: lock_offer
-- Takes the lock every writer of an offer takes first.
SELECT id FROM offers WHERE id = $1 FOR NO KEY UPDATE

-- name: most_uses_by_one_user
-- What a lower per_user_limit must still allow.
SELECT coalesce(max(u.uses), 0) FROM (
    SELECT count(*) AS uses FROM offer_redemptions AS r
    WHERE r.offer_id = $1 AND r.revoked_at IS NULL GROUP BY r.user_id
) AS u

-- name: insert_offer
-- A new draft.
INSERT INTO offers (
    code, title, description, discount_type, discount_value, per_user_limit, total_usage_limit, apply_to,
    allow_all, eligibility_logic, starts_at, ends_at, disabled_rules, created_by
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
RETURNING id

-- name: update_offer
-- Everything a writer states beside the lists.
UPDATE offers
SET
    code = $2, title = $3, description = $4, discount_type = $5, discount_value = $6, per_user_limit = $7,
    total_usage_limit = $8, apply_to = $9, allow_all = $10, eligibility_logic = $11, starts_at = $12,
    ends_at = $13, disabled_rules = $14, version = version + 1, updated_at = now()
WHERE id = $1

-- name: update_status
-- Publishes, pauses or archives.
UPDATE offers SET status = $2, version = version + 1, updated_at = now() WHERE id = $1

-- name: delete_draft
-- Forgets a draft and its steps.
DELETE FROM offer_drafts WHERE offer_id = $1 AND edited_by = $2 AND ($3::integer IS NULL OR revision = $3)

-- name: delete_other_users
-- Takes the offer from every user but those given.
DELETE FROM offer_allowed_users AS u
WHERE u.offer_id = $1 AND NOT EXISTS (SELECT FROM unnest($2::uuid[]) AS kept (id) WHERE kept.id = u.user_id)

-- name: add_users
-- Gives the offer to users who don't have it, however many, in one statement.
INSERT INTO offer_allowed_users (offer_id, user_id)
SELECT $1, given.id FROM unnest($2::uuid[]) AS given (id)
ON CONFLICT (offer_id, user_id) DO NOTHING

-- name: delete_other_roles
-- Takes the offer from every role but those given.
DELETE FROM offer_allowed_roles WHERE offer_id = $1 AND NOT (role = ANY($2::text[]))

-- name: add_roles
-- Gives the offer to roles that don't have it.
INSERT INTO offer_allowed_roles (offer_id, role)
SELECT $1, given.role FROM unnest($2::text[]) AS given (role)
ON CONFLICT (offer_id, role) DO NOTHING

-- name: delete_other_rules
-- Drops every rule whose key is not among those given.
DELETE FROM offer_eligibility_rules WHERE offer_id = $1 AND NOT (rule_key = ANY($2::text[]))

-- name: put_rules
-- Adds the rules that are new and changes those that differ; untouched ones raise no version.
INSERT INTO offer_eligibility_rules AS r (offer_id, rule_key, rule_type, params, description, position)
SELECT $1, n.rule_key, n.rule_type, n.params, n.description, n.position
FROM jsonb_to_recordset($2::jsonb)
    AS n (rule_key text, rule_type text, params jsonb, description text, position integer)
ON CONFLICT (offer_id, rule_key) DO UPDATE
SET
    rule_type = excluded.rule_type, params = excluded.params,
    description = excluded.description, position = excluded.position
WHERE
    (r.rule_type, jsonb_strip_nulls(r.params), r.description, r.position)
    IS DISTINCT FROM (excluded.rule_type, excluded.params, excluded.description, excluded.position)

-- name: delete_other_products
-- Drops every product that is not given with exactly these terms.
DELETE FROM offer_products AS p
WHERE
    p.offer_id = $1
    AND NOT EXISTS (
        SELECT
        FROM jsonb_to_recordset($2::jsonb) AS n (
            operator_product_id uuid, supplier_product_mapping_id uuid,
            price_override numeric, max_quantity_per_purchase integer
        )
        WHERE
            n.operator_product_id IS NOT DISTINCT FROM p.operator_product_id
            AND n.supplier_product_mapping_id IS NOT DISTINCT FROM p.supplier_product_mapping_id
            AND n.price_override IS NOT DISTINCT FROM p.price_override
            AND n.max_quantity_per_purchase IS NOT DISTINCT FROM p.max_quantity_per_purchase
    )

-- name: add_products
-- Adds the products that are not there yet; those with other terms have been dropped before.
INSERT INTO offer_products (
    offer_id, operator_product_id, supplier_product_mapping_id, price_override, max_quantity_per_purchase
)
SELECT $1, n.operator_product_id, n.supplier_product_mapping_id, n.price_override, n.max_quantity_per_purchase
FROM jsonb_to_recordset($2::jsonb) AS n (
    operator_product_id uuid, supplier_product_mapping_id uuid,
    price_override numeric, max_quantity_per_purchase integer
)
WHERE NOT EXISTS (
    SELECT FROM offer_products AS p
    WHERE
        p.offer_id = $1
        AND p.operator_product_id IS NOT DISTINCT FROM n.operator_product_id
        AND p.supplier_product_mapping_id IS NOT DISTINCT FROM n.supplier_product_mapping_id
)

-- name: list_operators
-- Every operator that has a name.
SELECT o.id, o.name, o.updated_at FROM operators AS o ORDER BY o.name, o.id

-- name: put_operator
-- Names an operator; the name it has already changes nothing.
INSERT INTO operators AS o (id, name) VALUES ($1, $2)
ON CONFLICT (id) DO UPDATE
SET
    name = excluded.name,
    updated_at = CASE WHEN o.name = excluded.name THEN o.updated_at ELSE excluded.updated_at END
RETURNING o.id, o.name, o.updated_at

-- name: list_members
-- A page of an offer's members who have not lapsed, by user id.
SELECT
    m.user_id, nullif(m.valid_until, 'infinity') AS valid_until, m.entered_at,
    m.rules_version = o.rules_version AS current
FROM offer_segment_members AS m
INNER JOIN offers AS o ON o.id = m.offer_id
WHERE m.offer_id = $1 AND ($2::uuid IS NULL OR m.user_id > $2) AND m.valid_until > now()
ORDER BY m.user_id
LIMIT $3

-- name: start_preview
-- The instant this transaction judges at, the statement that gives another one its snapshot, and the user in the
-- middle by id.
SELECT
    now() AS now,
    format('SET TRANSACTION SNAPSHOT %L', pg_export_snapshot()) AS same_snapshot,
    (SELECT u.id FROM users AS u ORDER BY u.id LIMIT 1 OFFSET (SELECT count(*) / 2 FROM users)) AS middle

-- name: load_people
-- The next users of a range of ids, by id, with when they registered and whether they hold one of some roles, and of
-- some others: one column of fixed-width values each.
SELECT
    string_agg(uuid_send(p.id), '' ORDER BY p.id) AS ids,
    string_agg(timestamptz_send(coalesce(p.created_at, '-infinity')), '' ORDER BY p.id) AS registered,
    string_agg(boolsend(p.roles && $4::text[]), '' ORDER BY p.id) AS role_holders,
    string_agg(boolsend(p.roles && $5::text[]), '' ORDER BY p.id) AS other_role_holders
FROM (
    SELECT u.id, u.created_at, u.roles FROM users AS u WHERE u.id BETWEEN $1 AND $2 ORDER BY u.id LIMIT $3
) AS p
