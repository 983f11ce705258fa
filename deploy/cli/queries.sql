-- name: find_offer
-- An offer by id or by code.
SELECT o.id, o.code, o.title, o.status, o.eligibility_logic
FROM offers AS o WHERE o.id = $1::uuid OR o.code = $2::text

-- name: judge
-- The exact verdict on a user and until when it holds, and whether the offer is open to them, its rules aside.
SELECT is_user_eligible_for_offer($1::uuid, $2::uuid) AS eligible,
    offer_allows_user($1::uuid, $2::uuid) AS allowed,
    nullif(eligibility_valid_until($1::uuid, $2::uuid), 'infinity') AS valid_until

-- name: explain
-- Each rule's part in it.
SELECT e.rule_key, e.rule_type, e.passed, e.required, e.actual,
    nullif(e.valid_until, 'infinity') AS valid_until, e.missing
FROM explain_eligibility($1::uuid, $2::uuid) AS e

-- name: rebuild_progress
-- How far the rebuilds of these offers are.
SELECT b.offer_id, o.code, b.users_done, greatest(b.users_total, b.users_done) AS users_total,
    b.entered, b.members_left, b.finished_at IS NOT NULL AS finished
FROM offer_segment_rebuilds AS b
INNER JOIN offers AS o ON b.offer_id = o.id
WHERE b.offer_id = any($1::uuid[])
ORDER BY o.code

-- name: load_decision
-- A stored decision by its request.
SELECT d.request_id, d.content_hash, d.command, d.status, d.reason, d.offer_id, d.user_id, d.redemption_id,
    d.request, d.reply, d.decided_at, d.inputs
FROM redemption_decisions AS d WHERE d.request_id = $1

-- name: find_decision_events
-- What the audit log says was decided on a request ($1), by the redemption it is about ($2) or by itself.
SELECT l.event_id, l.data
FROM audit_log AS l
WHERE l.entity_id = ANY(ARRAY[$1::uuid, $2::uuid]) AND l.data #>> '{request,request_id}' = $1::text
    AND l.data -> 'reply' IS NOT NULL

-- name: load_definition
-- What an offer was in one of its versions.
SELECT d.definition FROM offer_definitions AS d WHERE d.offer_id = $1 AND d.definition_version = $2
