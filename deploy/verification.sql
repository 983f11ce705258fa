-- name: count_offers
-- How many offers there are.
SELECT count(*) FROM offers

-- name: find_miscounted_offers
-- Invariant 1: usage_count is the number of redemptions not revoked, and never above the limit.
SELECT 'offers' AS table_name, c.id::text AS row_key,
    concat_ws(
        '; ',
        CASE WHEN c.usage_count <> c.standing THEN
            format('usage_count is %s, but %s redemptions are not revoked', c.usage_count, c.standing)
        END,
        CASE WHEN greatest(c.usage_count, c.standing) > c.total_usage_limit THEN
            format('%s uses are above total_usage_limit %s', greatest(c.usage_count, c.standing), c.total_usage_limit)
        END
    ) AS problem
FROM (
    SELECT o.id, o.usage_count, o.total_usage_limit, count(r.id) AS standing
    FROM offers AS o
    LEFT JOIN offer_redemptions AS r ON r.offer_id = o.id AND r.revoked_at IS NULL
    GROUP BY o.id
) AS c
WHERE c.usage_count <> c.standing OR greatest(c.usage_count, c.standing) > c.total_usage_limit
ORDER BY c.id

-- name: count_limited_users
-- How many pairs of a user and an offer with a limit for each user have a redemption that stands.
SELECT count(*) FROM (
    SELECT DISTINCT r.offer_id, r.user_id
    FROM offer_redemptions AS r
    INNER JOIN offers AS o ON o.id = r.offer_id
    WHERE r.revoked_at IS NULL AND o.per_user_limit IS NOT NULL
) AS p

-- name: find_users_above_limit
-- Invariant 2: no user has more standing redemptions of an offer than per_user_limit.
SELECT 'offer_redemptions' AS table_name, format('offer %s, user %s', r.offer_id, r.user_id) AS row_key,
    format('%s redemptions are not revoked, per_user_limit is %s', count(*), o.per_user_limit) AS problem
FROM offer_redemptions AS r
INNER JOIN offers AS o ON o.id = r.offer_id
WHERE r.revoked_at IS NULL AND o.per_user_limit IS NOT NULL
GROUP BY r.offer_id, r.user_id, o.per_user_limit
HAVING count(*) > o.per_user_limit
ORDER BY r.offer_id, r.user_id

-- name: count_decisions
-- How many stored decisions there are.
SELECT count(*) FROM redemption_decisions

-- name: find_unmatched_decisions
-- Invariant 3: requests, decisions and redemptions match one to one, as far back as decisions are kept.
SELECT 'offer_redemptions' AS table_name, format('request %s', r.request_id) AS row_key,
    format('%s redemptions come from this one request', count(*)) AS problem
FROM offer_redemptions AS r GROUP BY r.request_id HAVING count(*) > 1
UNION ALL
SELECT 'redemption_decisions', d.request_id::text, 'accepted, but no redemption of its user and offer names it'
FROM redemption_decisions AS d
WHERE d.command = 'redeem' AND d.status = 'accepted'
    AND NOT EXISTS (
        SELECT FROM offer_redemptions AS r
        WHERE r.request_id = d.request_id
            AND (r.id, r.offer_id, r.user_id) = (d.redemption_id, d.offer_id, d.user_id)
    )
UNION ALL
SELECT 'offer_redemptions', r.id::text, format('its request %s was rejected: %s', d.request_id, d.reason)
FROM redemption_decisions AS d
INNER JOIN offer_redemptions AS r ON r.request_id = d.request_id
WHERE d.status = 'rejected'
UNION ALL
SELECT 'offer_redemptions', r.id::text, format('its request %s has no stored decision', r.request_id)
FROM offer_redemptions AS r
WHERE r.created_at > now() - make_interval(days => $1) + interval '1 hour'
    AND NOT EXISTS (SELECT FROM redemption_decisions AS d WHERE d.request_id = r.request_id)
UNION ALL
SELECT 'redemption_decisions', d.request_id::text,
    format('an accepted revoke, but redemption %s is not revoked', d.redemption_id)
FROM redemption_decisions AS d
WHERE d.command = 'revoke' AND d.status = 'accepted'
    AND NOT EXISTS (
        SELECT FROM offer_redemptions AS r WHERE r.id = d.redemption_id AND r.revoked_at IS NOT NULL
    )
UNION ALL
SELECT 'offer_redemptions', r.id::text, 'revoked, but no accepted revoke is stored'
FROM offer_redemptions AS r
WHERE r.revoked_at > now() - make_interval(days => $1) + interval '1 hour'
    AND NOT EXISTS (
        SELECT FROM redemption_decisions AS d
        WHERE d.redemption_id = r.id AND d.command = 'revoke' AND d.status = 'accepted'
    )
ORDER BY table_name, row_key, problem

-- name: count_members
-- How many memberships the offers that keep members have.
SELECT count(*)
FROM offer_segment_members AS m
INNER JOIN offers AS o ON o.id = m.offer_id
WHERE o.status IN ('active', 'paused')
    AND EXISTS (SELECT FROM offer_eligibility_rules AS r WHERE r.offer_id = o.id)

-- name: find_wrong_members
-- Invariant 4: whoever a row says is a member is eligible, and for as long. Looks at a share $1 of the rows.
WITH looked_at AS MATERIALIZED (
    SELECT m.offer_id, m.user_id, m.valid_until, m.rules_version
    FROM offer_segment_members AS m WHERE m.valid_until > now() AND random() < $1
),

judged AS MATERIALIZED (
    SELECT m.offer_id, m.user_id, m.valid_until AS promised,
        is_user_eligible_for_offer(m.offer_id, m.user_id) AS eligible,
        eligibility_valid_until(m.offer_id, m.user_id) AS held
    FROM looked_at AS m
    INNER JOIN offers AS o ON o.id = m.offer_id
    WHERE o.status IN ('active', 'paused')
        AND EXISTS (SELECT FROM offer_eligibility_rules AS r WHERE r.offer_id = o.id)
        AND NOT (
            m.rules_version < o.rules_version AND EXISTS (
                SELECT FROM offer_segment_rebuilds AS b WHERE b.offer_id = o.id AND b.finished_at IS NULL
            )
        )
)

SELECT 'offer_segment_members' AS table_name, format('offer %s, user %s', j.offer_id, j.user_id) AS row_key,
    CASE
        WHEN j.eligible THEN format('a member until %s, but eligible only until %s', j.promised, j.held)
        ELSE format('a member until %s, but not eligible now', j.promised)
    END AS problem
FROM judged AS j
WHERE NOT j.eligible OR j.held IS NULL OR j.promised > j.held
ORDER BY j.offer_id, j.user_id

-- name: count_candidates
-- How many pairs of a user and an offer that keeps members, and isn't being rebuilt, there are.
SELECT count(*) * (SELECT count(*) FROM users)
FROM offers AS o
WHERE o.status IN ('active', 'paused')
    AND EXISTS (SELECT FROM offer_eligibility_rules AS r WHERE r.offer_id = o.id)
    AND NOT EXISTS (SELECT FROM offer_segment_rebuilds AS b WHERE b.offer_id = o.id AND b.finished_at IS NULL)

-- name: find_missing_members
-- Invariant 4: whoever is eligible is a member, by a row that has not lapsed. Looks at a share $1 of the users.
WITH looked_at AS MATERIALIZED (
    SELECT s.id FROM users AS s WHERE random() < $1
)

SELECT 'offer_segment_members' AS table_name, format('offer %s, user %s', o.id, u.id) AS row_key,
    'eligible now, but no row that has not lapsed says so' AS problem
FROM offers AS o
CROSS JOIN looked_at AS u
WHERE o.status IN ('active', 'paused')
    AND EXISTS (SELECT FROM offer_eligibility_rules AS r WHERE r.offer_id = o.id)
    AND NOT EXISTS (SELECT FROM offer_segment_rebuilds AS b WHERE b.offer_id = o.id AND b.finished_at IS NULL)
    AND NOT EXISTS (
        SELECT FROM offer_segment_members AS m
        WHERE m.offer_id = o.id AND m.user_id = u.id AND m.valid_until > now()
    )
    AND is_user_eligible_for_offer(o.id, u.id)
ORDER BY o.id, u.id

-- name: find_unaudited_redemptions
-- Invariant 5: every redemption, and every revocation, has its audit event.
SELECT 'offer_redemptions' AS table_name, r.id::text AS row_key, 'no audit event redemption.accepted' AS problem
FROM offer_redemptions AS r
WHERE NOT EXISTS (
    SELECT FROM audit_log AS l WHERE l.entity_id = r.id AND l.type = 'redemption.accepted'
)
UNION ALL
SELECT 'offer_redemptions', r.id::text, 'revoked, but no audit event redemption.revoked'
FROM offer_redemptions AS r
WHERE r.revoked_at IS NOT NULL AND NOT EXISTS (
    SELECT FROM audit_log AS l WHERE l.entity_id = r.id AND l.type = 'redemption.revoked'
)
ORDER BY row_key, problem
