-- name: add_token
-- Stores a new token's hash.
INSERT INTO api_tokens (name, role, token_hash) VALUES ($1, $2, $3)
ON CONFLICT (token_hash) DO NOTHING
