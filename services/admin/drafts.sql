-- name: find_draft
-- Somebody's draft of an offer as it stands, with whether there are steps to undo and redo.
SELECT
    d.base_version, d.revision, s.content, d.allowed_users, d.updated_at,
    d.step > (SELECT min(f.step) FROM offer_draft_steps AS f WHERE f.offer_id = $1 AND f.edited_by = $2) AS can_undo,
    d.step < (SELECT max(l.step) FROM offer_draft_steps AS l WHERE l.offer_id = $1 AND l.edited_by = $2) AS can_redo
FROM offer_drafts AS d
INNER JOIN offer_draft_steps AS s ON s.offer_id = d.offer_id AND s.edited_by = d.edited_by AND s.step = d.step
WHERE d.offer_id = $1 AND d.edited_by = $2

-- name: begin_draft
-- A draft where there is none yet; its first step is the offer as it is.
INSERT INTO offer_drafts (offer_id, edited_by, base_version, revision, allowed_users) VALUES ($1, $2, $3, 0, $4)
ON CONFLICT (offer_id, edited_by) DO NOTHING

-- name: lock_draft
-- Takes the draft's lock; answers its revision and step.
SELECT d.revision, d.step, d.base_version FROM offer_drafts AS d WHERE d.offer_id = $1 AND d.edited_by = $2 FOR UPDATE

-- name: put_step
-- What the draft is at a step.
INSERT INTO offer_draft_steps (offer_id, edited_by, step, content) VALUES ($1, $2, $3, $4)
ON CONFLICT (offer_id, edited_by, step) DO UPDATE SET content = excluded.content

-- name: drop_steps
-- Forgets what was undone, and what is too long ago.
DELETE FROM offer_draft_steps WHERE offer_id = $1 AND edited_by = $2 AND NOT (step BETWEEN $3 AND $4)

-- name: move_draft
-- The draft stands at a step.
UPDATE offer_drafts SET step = $3, revision = revision + 1, updated_at = now() WHERE offer_id = $1 AND edited_by = $2

-- name: nearest_step
-- The step before or after another one; null if there is none.
SELECT CASE WHEN $4 THEN min(s.step) ELSE max(s.step) END
FROM offer_draft_steps AS s
WHERE s.offer_id = $1 AND s.edited_by = $2 AND CASE WHEN $4 THEN s.step > $3 ELSE s.step < $3 END

-- name: put_users
-- Who is allowed, by the draft.
UPDATE offer_drafts SET allowed_users = $3, revision = revision + 1, updated_at = now()
WHERE offer_id = $1 AND edited_by = $2

-- name: put_base
-- The draft was made from another version.
UPDATE offer_drafts SET base_version = $3 WHERE offer_id = $1 AND edited_by = $2

-- name: add_version
-- What an offer is at a version.
INSERT INTO offer_versions (offer_id, version, change, content, allowed_users, made_by)
VALUES ($1, $2, $3, $4, $5, $6)

-- name: find_version
-- What an offer was at a version.
SELECT v.version, v.change, v.content, v.allowed_users, v.made_by, v.made_at
FROM offer_versions AS v WHERE v.offer_id = $1 AND v.version = $2

-- name: list_versions
-- An offer's versions, newest first, before a given one.
SELECT v.version, v.change, v.content, v.allowed_users, v.made_by, v.made_at
FROM offer_versions AS v
WHERE v.offer_id = $1 AND ($2::integer IS NULL OR v.version < $2)
ORDER BY v.version DESC
LIMIT $3
