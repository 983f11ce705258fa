-- name: offer_names
-- What offers are called.
SELECT o.id, o.code, o.title FROM offers AS o WHERE o.id = ANY($1::uuid[])

-- name: find_offer_id
-- An offer by its code.
SELECT o.id FROM offers AS o WHERE o.code = $1

-- name: load_decision
-- A stored decision by its request.
SELECT d.request, d.reply, d.inputs FROM redemption_decisions AS d WHERE d.request_id = $1

-- name: find_decision_events
-- What the audit log says was decided on a request ($1), by the redemption it is about ($2) or by itself; oldest first.
SELECT l.data
FROM audit_log AS l
WHERE l.entity_id = ANY(ARRAY[$1::uuid, $2::uuid]) AND l.data #>> '{request,request_id}' = $1::text
    AND l.data -> 'reply' IS NOT NULL
ORDER BY l.occurred_at, l.event_id

-- name: revoked_redemption
-- The redemption that a request to revoke was about.
SELECT d.redemption_id FROM redemption_decisions AS d
WHERE d.request_id = $1 AND d.command = 'revoke' AND d.redemption_id IS NOT NULL

-- name: load_definition
-- What an offer was in one of its versions.
SELECT d.definition FROM offer_definitions AS d WHERE d.offer_id = $1 AND d.definition_version = $2
