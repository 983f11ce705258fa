-- name: months_before
-- The months with a partition before one, oldest first, by name.
SELECT right(c.relname, 7) AS month
FROM pg_inherits AS i INNER JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'audit_log'::regclass AND c.relname < 'audit_log_' || to_char($1::date, 'YYYY_MM')
ORDER BY c.relname

-- name: wait_briefly
-- Has the transaction give up rather than hold up readers and the service for long.
SELECT set_config('lock_timeout', '10s', true)

-- name: last_before
-- The last row of each chain recorded before an instant, and how many there are.
WITH ends AS (
    SELECT l.chain, max(l.sequence) AS sequence, count(*) AS dropped
    FROM audit_log AS l WHERE l.recorded_at < $1 GROUP BY l.chain
)

SELECT e.chain, e.sequence, l.hash, e.dropped
FROM ends AS e INNER JOIN audit_log AS l ON l.chain = e.chain AND l.sequence = e.sequence AND l.recorded_at < $1
ORDER BY e.chain

-- name: store_checkpoint
-- Keeps where a chain goes on.
INSERT INTO audit_checkpoints (
    chain, sequence, hash, rows_dropped, before_month, verified, signed_off_by, signed_off_at, seal
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: drop_months
-- Drops the months before one and returns them.
SELECT m.month FROM drop_audit_months($1) AS m (month)
