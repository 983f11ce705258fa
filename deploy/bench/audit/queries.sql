-- name: number_rows
-- The order in which the worker stored its rows.
CREATE TABLE bench_order AS
SELECT l.event_id, row_number() OVER (ORDER BY l.recorded_at, l.chain, l.sequence) - 1 AS number FROM audit_log AS l

-- name: index_numbers
-- So that reading a batch of rows reads no others.
CREATE UNIQUE INDEX ON bench_order (number)

-- name: rows_between
-- The rows of one batch.
SELECT l.* FROM bench_order AS b INNER JOIN audit_log AS l ON l.event_id = b.event_id
WHERE b.number >= $1 AND b.number < $2 ORDER BY b.number

-- name: drop_copy
-- Before each pass.
DROP TABLE IF EXISTS bench_audit

-- name: create_copy
-- A table like a month of the log, with its indexes.
CREATE TABLE bench_audit (LIKE audit_log INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)

-- name: count_copied
-- What COPY has stored.
SELECT count(*) FROM bench_audit

-- name: stored
-- What the worker has stored, in how many transactions, and on which server.
SELECT
    count(*) AS events, count(DISTINCT l.recorded_at) AS batches,
    current_setting('server_version') AS postgres_version
FROM audit_log AS l
