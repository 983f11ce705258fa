-- name: find_token
-- The standing token of a hash.
SELECT name, role FROM api_tokens WHERE token_hash = $1 AND revoked_at IS NULL

-- name: add_token
-- Stores a new token's hash.
INSERT INTO api_tokens (name, role, token_hash) VALUES ($1, $2, $3)
ON CONFLICT (token_hash) DO NOTHING
