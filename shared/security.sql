-- name: find_token
-- The standing token of a hash, and whether its use has not been noted for a while.
SELECT id, name, role, coalesce(last_used_at < now() - interval '5 minutes', true) AS use_unnoted
FROM api_tokens WHERE token_hash = $1 AND revoked_at IS NULL

-- name: note_use
-- Notes that a token is in use, unless another request does so now.
UPDATE api_tokens SET last_used_at = now()
WHERE id = (SELECT id FROM api_tokens WHERE id = $1 FOR UPDATE SKIP LOCKED)

-- name: find_user
-- The user of a session that was made for them as they are now.
SELECT name, role FROM admin_users WHERE id = $1 AND version = $2 AND disabled_at IS NULL
