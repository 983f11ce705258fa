CREATE TABLE admin_users (
    id uuid CONSTRAINT admin_users_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL CONSTRAINT admin_users_name_writable CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$'),
    password_hash text NOT NULL CONSTRAINT admin_users_hash_argon2id CHECK (password_hash LIKE '$argon2id$%'),
    role text NOT NULL CONSTRAINT admin_users_role_known CHECK (role IN ('viewer', 'editor', 'admin')),
    version integer NOT NULL DEFAULT 1,
    created_by text,
    created_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz,
    password_changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX admin_users_name_unique ON admin_users (lower(name));
COMMENT ON TABLE admin_users IS 'Who may sign in to the admin page; disabled rather than deleted.';
COMMENT ON COLUMN admin_users.version IS
'Raised by every change of password, role or standing: a login session holds only while it is what it was.';

ALTER TABLE api_tokens ADD COLUMN created_by text, ADD COLUMN last_used_at timestamptz;
COMMENT ON COLUMN api_tokens.last_used_at IS 'To a few minutes: noting every use would make each request a write.';

-- Audit looks sessions and tokens up, and notes that a token is used; it can't read what passwords are checked by.
GRANT SELECT (id, name, role, version, disabled_at) ON admin_users TO offers_audit;
GRANT SELECT (id, last_used_at), UPDATE (last_used_at) ON api_tokens TO offers_audit;

-- Admin makes both, and takes them out of use. It deletes neither.
GRANT SELECT, INSERT (name, password_hash, role, created_by),
UPDATE (password_hash, role, version, disabled_at, password_changed_at) ON admin_users TO offers_admin;
GRANT SELECT, INSERT (name, role, token_hash, created_by), UPDATE (last_used_at, revoked_at) ON api_tokens
TO offers_admin;
