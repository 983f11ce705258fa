-- name: arrivals
-- How much of the history has been taken in.
SELECT
    (SELECT count(*) FROM users AS u WHERE u.created_at IS NOT NULL) AS users,
    (SELECT count(*) FROM topup_requests) AS topups

-- name: unsettled
-- Memberships that disagree with the exact function, and rebuilds under way.
SELECT
    (SELECT count(*) FROM offer_segment_rebuilds AS b WHERE b.finished_at IS NULL) + (
        SELECT count(*)
        FROM offers AS o
        CROSS JOIN users AS u
        LEFT JOIN offer_segment_members AS m ON o.id = m.offer_id AND u.id = m.user_id
        WHERE o.status = 'active' AND EXISTS (SELECT FROM offer_eligibility_rules AS r WHERE r.offer_id = o.id)
            AND is_user_eligible_for_offer(o.id, u.id)
            <> coalesce(m.rules_version = o.rules_version AND m.valid_until > now(), false)
    )

-- name: unaudited
-- Decisions that have no audit event yet.
SELECT count(*) FROM redemption_decisions AS d
WHERE NOT EXISTS (
    SELECT FROM audit_log AS l
    WHERE l.entity_id = CASE d.status WHEN 'accepted' THEN d.redemption_id ELSE d.request_id END
        AND l.type = 'redemption.' || CASE
            WHEN d.status = 'rejected' THEN 'rejected'
            WHEN d.command = 'revoke' THEN 'revoked'
            ELSE 'accepted'
        END
)

-- name: audit_events
-- The audit trail by type.
SELECT l.type, count(*) AS events FROM audit_log AS l GROUP BY l.type ORDER BY l.type

-- name: offers
-- The offers with their members and uses.
SELECT o.code, o.title, o.status, o.usage_count, o.total_usage_limit,
    EXISTS (SELECT FROM offer_eligibility_rules AS r WHERE r.offer_id = o.id) AS has_rules,
    (SELECT count(*) FROM offer_segment_members AS m WHERE m.offer_id = o.id AND m.valid_until > now()) AS members
FROM offers AS o ORDER BY o.created_at, o.code

-- name: taken_codes
-- How many of these codes exist already.
SELECT count(*) FROM offers AS o WHERE o.code = any($1::text[])
