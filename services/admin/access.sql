-- name: list_users
-- Everybody who may sign in or could, by name.
SELECT id, name, role, version, created_by, created_at, disabled_at, password_changed_at
FROM admin_users ORDER BY lower(name)

-- name: find_user
-- One of them.
SELECT id, name, role, version, created_by, created_at, disabled_at, password_changed_at
FROM admin_users WHERE id = $1

-- name: find_user_named
-- One of them by name, in any case.
SELECT id, name, role, version, created_by, created_at, disabled_at, password_changed_at
FROM admin_users WHERE lower(name) = lower($1)

-- name: find_login
-- What a login is checked against.
SELECT id, name, version, password_hash, disabled_at FROM admin_users WHERE lower(name) = lower($1)

-- name: find_password
-- What a user's own password is checked against.
SELECT name, version, password_hash FROM admin_users WHERE id = $1 AND disabled_at IS NULL

-- name: lock_users
-- One change of users at a time: whether an admin is left can be told only with the others at rest.
SELECT pg_advisory_xact_lock(hashtextextended('admin_users', 0))

-- name: other_admins
-- How many other admins could sign in.
SELECT count(*) FROM admin_users WHERE role = 'admin' AND disabled_at IS NULL AND id <> $1

-- name: insert_user
-- A new user.
INSERT INTO admin_users (name, password_hash, role, created_by) VALUES ($1, $2, $3, $4) RETURNING id

-- name: update_user
-- What a user is from now on; every session from before ends.
UPDATE admin_users SET
    role = $2,
    disabled_at = CASE WHEN $3::boolean THEN coalesce(disabled_at, now()) END,
    password_hash = coalesce($4, password_hash),
    password_changed_at = CASE WHEN $4 IS NULL THEN password_changed_at ELSE now() END,
    version = version + 1
WHERE id = $1

-- name: keep_hash
-- The same password, hashed as it is done now.
UPDATE admin_users SET password_hash = $3 WHERE id = $1 AND password_hash = $2

-- name: end_sessions
-- Every session of a user ends.
UPDATE admin_users SET version = version + 1 WHERE id = $1

-- name: list_tokens
-- Every token, those that stand first, newest first.
SELECT id, name, role, created_by, created_at, last_used_at, revoked_at
FROM api_tokens ORDER BY revoked_at IS NOT NULL, created_at DESC, id

-- name: insert_token
-- A new token's hash.
INSERT INTO api_tokens (name, role, token_hash, created_by) VALUES ($1, $2, $3, $4)
RETURNING id, name, role, created_by, created_at, last_used_at, revoked_at

-- name: find_token
-- One token, held until the transaction ends.
SELECT id, name, role, created_by, created_at, last_used_at, revoked_at FROM api_tokens WHERE id = $1 FOR UPDATE

-- name: revoke_token
-- From now on a token is refused.
UPDATE api_tokens SET revoked_at = now() WHERE id = $1
RETURNING id, name, role, created_by, created_at, last_used_at, revoked_at
