-- name: page_of_offers
-- The ids of a page of offers to judge a user by: active ones first, then paused, drafts, archived; newest first.
SELECT o.id
FROM offers AS o
CROSS JOIN LATERAL (SELECT array_position(ARRAY['active', 'paused', 'draft', 'archived'], o.status) AS place) AS r
LEFT JOIN LATERAL (
    SELECT p.id, p.created_at, array_position(ARRAY['active', 'paused', 'draft', 'archived'], p.status) AS place
    FROM offers AS p WHERE p.id = $3::uuid
) AS before ON true
WHERE
    ($1::text IS NULL OR o.status = $1)
    AND (
        $2::text IS NULL
        OR strpos(lower(o.code), lower($2)) > 0
        OR strpos(lower(o.title), lower($2)) > 0
    )
    AND (
        $3 IS NULL
        OR r.place > before.place
        OR (r.place = before.place AND o.created_at < before.created_at)
        OR (r.place = before.place AND o.created_at = before.created_at AND o.id > before.id)
    )
ORDER BY r.place, o.created_at DESC, o.id
LIMIT $4

-- name: judge_offers
-- How some offers stand towards a user with the clock at an instant (null: now), in the order given: their rules'
-- verdicts, and what else decides. Roles, lists, rules and uses are those of now.
SELECT
    o.id AS offer_id, o.code, o.title, o.status, o.eligibility_logic, o.per_user_limit, o.total_usage_limit,
    o.usage_count, nullif(o.starts_at, '-infinity') AS starts_at, nullif(o.ends_at, 'infinity') AS ends_at,
    c.at, a.allowed, a.allowed AND e.passed AS eligible,
    CASE WHEN a.allowed THEN nullif(e.valid_until, 'infinity') END AS valid_until,
    s.rules AS stored_rules, e.rules AS verdicts, u.uses
FROM unnest($1::uuid[]) WITH ORDINALITY AS n (id, place)
INNER JOIN offers AS o ON o.id = n.id
CROSS JOIN LATERAL (SELECT coalesce($3::timestamptz, now()) AS at) AS c
CROSS JOIN LATERAL (SELECT offer_allows_user(o.id, $2) AS allowed) AS a
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(
        jsonb_build_object('rule_key', r.rule_key, 'rule_type', r.rule_type, 'params', r.params)
        ORDER BY r.position, r.rule_key
    ), '[]') AS rules
    FROM offer_eligibility_rules AS r WHERE r.offer_id = o.id
) AS s
CROSS JOIN LATERAL explain_rules(s.rules, o.eligibility_logic, $2, c.at) AS e
CROSS JOIN LATERAL (
    SELECT count(*) AS uses FROM offer_redemptions AS d
    WHERE d.offer_id = o.id AND d.user_id = $2 AND d.revoked_at IS NULL
) AS u
ORDER BY n.place

-- name: judge_rules
-- The same for rules, and lists of whom they are open to, that are stored nowhere.
SELECT
    c.at, a.allowed, a.allowed AND e.passed AS eligible,
    CASE WHEN a.allowed THEN nullif(e.valid_until, 'infinity') END AS valid_until,
    e.rules AS verdicts
FROM (SELECT coalesce($4::timestamptz, now()) AS at) AS c
CROSS JOIN LATERAL (
    SELECT
        $5::boolean
        OR $3::uuid = ANY($6::uuid[])
        OR EXISTS (SELECT FROM users AS u WHERE u.id = $3 AND u.roles && $7::text[]) AS allowed
) AS a
CROSS JOIN LATERAL explain_rules($1::jsonb, $2::text, $3, c.at) AS e

-- name: find_user
-- What is known of a user.
SELECT u.id AS user_id, u.created_at AS registered_at, u.roles FROM users AS u WHERE u.id = $1

-- name: recent_transactions
-- A user's newest transactions, those among them that don't count.
SELECT
    t.id AS topup_id, t.operator_id, o.name AS operator, t.kind, t.amount, t.status, t.occurred_at
FROM (
    (
        SELECT c.id, c.operator_id, c.kind, c.amount, c.status, c.occurred_at FROM topup_requests AS c
        WHERE c.user_id = $1 AND c.status = 'succeeded' ORDER BY c.occurred_at DESC LIMIT $2
    )
    UNION ALL
    (
        SELECT f.id, f.operator_id, f.kind, f.amount, f.status, f.occurred_at FROM topup_requests AS f
        WHERE f.user_id = $1 AND f.status <> 'succeeded' ORDER BY f.occurred_at DESC LIMIT $2
    )
) AS t
LEFT JOIN operators AS o ON o.id = t.operator_id
ORDER BY t.occurred_at DESC, t.id
LIMIT $2

-- name: operator_names
-- What the operators that have names are called.
SELECT o.id, o.name FROM operators AS o
