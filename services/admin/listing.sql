-- name: list_page
-- A page of the list: the offers that fit, newest first, after a given one ($7); then the members and today's
-- decisions of no others. Members are counted up to a bound ($9); of more, the number counted last is told.
SELECT
    o.id, o.code, o.title, o.status, o.discount_type, o.discount_value, o.per_user_limit, o.total_usage_limit,
    o.usage_count, o.starts_at, o.ends_at, o.created_at, o.keeps_members,
    CASE WHEN m.found <= $9::integer THEN m.found ELSE greatest(c.members, m.found) END AS members,
    m.found <= $9 OR c.members IS NOT NULL AS members_known,
    coalesce(d.accepted, 0) AS accepted_today, coalesce(d.rejected, 0) AS rejected_today
FROM (
    SELECT
        f.id, f.code, f.title, f.status, f.discount_type, f.discount_value, f.per_user_limit, f.total_usage_limit,
        f.usage_count, nullif(f.starts_at, '-infinity') AS starts_at, nullif(f.ends_at, 'infinity') AS ends_at,
        f.created_at,
        f.status IN ('active', 'paused')
        AND EXISTS (SELECT FROM offer_eligibility_rules AS r WHERE r.offer_id = f.id) AS keeps_members
    FROM offers AS f
    LEFT JOIN offers AS previous ON previous.id = $7::uuid
    WHERE
        ($1::text IS NULL OR f.status = $1)
        AND ($2::text IS NULL OR strpos(lower(f.code), lower($2)) > 0 OR strpos(lower(f.title), lower($2)) > 0)
        AND CASE $3::text
            WHEN 'running' THEN f.status = 'active' AND coalesce(f.starts_at <= now(), true)
                AND coalesce(f.ends_at > now(), true)
            WHEN 'ending' THEN f.status = 'active' AND f.ends_at > now() AND f.ends_at <= now() + $4::interval
            WHEN 'scheduled' THEN f.status = 'active' AND f.starts_at > now()
            WHEN 'ended' THEN coalesce(f.ends_at <= now(), false)
            ELSE true
        END
        AND CASE $5::text
            WHEN 'used_up' THEN coalesce(f.usage_count >= f.total_usage_limit, false)
            WHEN 'nearly' THEN coalesce(f.usage_count >= 0.8 * f.total_usage_limit, false)
            WHEN 'unused' THEN f.usage_count = 0
            ELSE true
        END
        AND CASE $6::text
            WHEN 'some' THEN EXISTS (
                SELECT FROM offer_segment_members AS s WHERE s.offer_id = f.id AND s.valid_until > now()
            )
            WHEN 'none' THEN NOT EXISTS (
                SELECT FROM offer_segment_members AS s WHERE s.offer_id = f.id AND s.valid_until > now()
            )
            ELSE true
        END
        AND (
            $7 IS NULL
            OR (
                f.created_at <= previous.created_at
                AND (f.created_at < previous.created_at OR f.id > previous.id)
            )
        )
    ORDER BY f.created_at DESC, f.id
    LIMIT $8
) AS o
CROSS JOIN LATERAL (
    SELECT count(*) AS found FROM (
        SELECT FROM offer_segment_members AS s
        WHERE s.offer_id = o.id AND s.valid_until > now() ORDER BY s.user_id LIMIT $9 + 1
    ) AS s
) AS m
LEFT JOIN LATERAL (
    SELECT n.members FROM offer_member_counts AS n WHERE n.offer_id = o.id ORDER BY n.hour DESC LIMIT 1
) AS c ON m.found > $9
LEFT JOIN LATERAL (
    SELECT
        sum(n.decisions) FILTER (WHERE n.status = 'accepted')::bigint AS accepted,
        sum(n.decisions) FILTER (WHERE n.status = 'rejected')::bigint AS rejected
    FROM offer_decision_counts AS n
    WHERE n.offer_id = o.id AND n.hour >= date_trunc('day', now(), 'UTC') AND n.command = 'redeem'
) AS d ON true
ORDER BY o.created_at DESC, o.id

-- name: count_offers
-- How many offers there are of each status.
SELECT o.status, count(*) AS offers FROM offers AS o GROUP BY o.status
