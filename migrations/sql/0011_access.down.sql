REVOKE SELECT, INSERT (name, role, token_hash, created_by), UPDATE (last_used_at, revoked_at) ON api_tokens
FROM offers_admin;
REVOKE SELECT (id, last_used_at), UPDATE (last_used_at) ON api_tokens FROM offers_audit;
GRANT SELECT (name, role, token_hash, revoked_at) ON api_tokens TO offers_admin;

ALTER TABLE api_tokens DROP COLUMN created_by, DROP COLUMN last_used_at;
DROP TABLE admin_users;
