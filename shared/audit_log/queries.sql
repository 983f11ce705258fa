-- name: plan_for_filters
-- Has the transaction's queries planned for the filters given, so that those left out cost nothing.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true)

-- name: find_events
-- Events that pass the filters given, newest first, from below a cursor; no limit: all of them.
SELECT l.event_id, l.type, l.actor, l.entity_type, l.entity_id, l.offer_id, l.user_id, l.occurred_at,
    l.data::text AS data, l.recorded_at, l.chain, l.sequence, l.hash
FROM audit_log AS l
WHERE ($1::uuid IS NULL OR l.entity_id = $1)
    AND ($2::uuid IS NULL OR l.offer_id = $2)
    AND ($3::uuid IS NULL OR l.user_id = $3)
    AND ($4::text IS NULL OR l.type = $4)
    AND ($5::timestamptz IS NULL OR l.occurred_at >= $5)
    AND ($6::timestamptz IS NULL OR l.occurred_at < $6)
    AND ($10::uuid[] IS NULL OR l.entity_id = ANY($10))
    AND ($11::text IS NULL OR l.actor = $11)
    AND ($7::timestamptz IS NULL OR (l.occurred_at, l.event_id) < ($7, $8::uuid))
ORDER BY l.occurred_at DESC, l.event_id DESC
LIMIT $9::bigint
