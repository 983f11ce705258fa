-- name: find_login
-- Whether a role is there already.
SELECT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = $1)

-- name: create_login
-- The statement that makes a role $1 that logs in with password $2.
SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)

-- name: change_password
-- The statement that gives a role $1 the password $2.
SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)

-- name: join_group
-- The statement that makes a role $1 a member of $2, with its rights.
SELECT format('GRANT %I TO %I', $2::text, $1::text)
