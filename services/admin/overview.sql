-- name: load_overview
-- An offer as its page tells it: of what may be many, the first few and how many there are.
SELECT
    o.id, o.code, o.title, o.description, o.status, o.discount_type, o.discount_value, o.per_user_limit,
    o.total_usage_limit, o.usage_count, o.apply_to, o.allow_all, o.eligibility_logic,
    nullif(o.starts_at, '-infinity') AS starts_at, nullif(o.ends_at, 'infinity') AS ends_at,
    o.version, o.rules_version, o.created_by, o.created_at, o.updated_at,
    (SELECT count(*) FROM offer_products AS p WHERE p.offer_id = o.id) AS products_total,
    (
        SELECT coalesce(jsonb_agg(
            jsonb_build_object(
                'operator_product_id', p.operator_product_id,
                'supplier_product_mapping_id', p.supplier_product_mapping_id,
                'price_override', p.price_override::text,
                'max_quantity_per_purchase', p.max_quantity_per_purchase
            ) ORDER BY p.operator_product_id, p.supplier_product_mapping_id, p.id
        ), '[]')
        FROM (
            SELECT
                q.id, q.operator_product_id, q.supplier_product_mapping_id, q.price_override,
                q.max_quantity_per_purchase
            FROM offer_products AS q WHERE q.offer_id = o.id
            ORDER BY q.operator_product_id, q.supplier_product_mapping_id, q.id LIMIT $2
        ) AS p
    ) AS products,
    (SELECT count(*) FROM offer_allowed_users AS u WHERE u.offer_id = o.id) AS allowed_users_total,
    ARRAY(SELECT a.role FROM offer_allowed_roles AS a WHERE a.offer_id = o.id ORDER BY a.role) AS allowed_roles,
    (
        SELECT coalesce(jsonb_agg(
            jsonb_build_object(
                'rule_key', r.rule_key, 'rule_type', r.rule_type, 'params', r.params, 'description', r.description
            ) ORDER BY r.position, r.rule_key
        ), '[]')
        FROM offer_eligibility_rules AS r WHERE r.offer_id = o.id
    ) AS rules
FROM offers AS o
WHERE o.id = $1

-- name: find_member
-- One user's membership of an offer, if it has not lapsed.
SELECT
    m.user_id, nullif(m.valid_until, 'infinity') AS valid_until, m.entered_at,
    m.rules_version = o.rules_version AS current
FROM offer_segment_members AS m
INNER JOIN offers AS o ON o.id = m.offer_id
WHERE m.offer_id = $1 AND m.user_id = $2 AND m.valid_until > now()
