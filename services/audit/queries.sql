-- name: lock_chains
-- Locks the ends of a batch's chains in chain order, so that batches can't deadlock. The batch's time is taken once
-- all are locked, and is never before that of a row they end with.
WITH locked AS MATERIALIZED (
    SELECT c.chain, c.sequence, c.hash, c.recorded_at
    FROM audit_chains AS c WHERE c.chain = ANY($1::integer[]) ORDER BY c.chain FOR UPDATE
)

SELECT l.chain, l.sequence, l.hash,
    greatest((SELECT max(e.recorded_at) FROM locked AS e), (SELECT clock_timestamp())) AS recorded_at
FROM locked AS l ORDER BY l.chain

-- name: open_month
-- Makes sure that rows recorded at an instant have a partition.
SELECT open_audit_month($1)

-- name: open_chains
-- Records the genesis of chains seen for the first time; another worker may just have done so.
INSERT INTO audit_chains (chain, sequence, hash)
SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bytea[])
ON CONFLICT (chain) DO NOTHING

-- name: find_stored
-- Which of these events the log has already, where it can: none was recorded before it occurred.
SELECT l.event_id FROM audit_log AS l WHERE l.event_id = ANY($1::uuid[]) AND l.recorded_at >= $2

-- name: move_heads
-- Records the new ends of the chains a batch made longer.
UPDATE audit_chains AS c SET sequence = h.sequence, hash = h.hash, recorded_at = $4
FROM unnest($1::integer[], $2::bigint[], $3::bytea[]) AS h (chain, sequence, hash)
WHERE c.chain = h.chain

-- name: load_heads
-- The recorded end of every chain.
SELECT c.chain, c.sequence, c.hash FROM audit_chains AS c ORDER BY c.chain

-- name: walk_chains
-- Every row in the order of its chain. Times are whole microseconds, numerics where they are infinite.
SELECT l.chain, l.sequence, l.event_id, l.type, l.actor, l.entity_type, l.entity_id, l.offer_id, l.user_id,
    extract(EPOCH FROM l.occurred_at) * 1000000 AS occurred_at_us,
    l.data::text AS data,
    extract(EPOCH FROM l.recorded_at) * 1000000 AS recorded_at_us,
    l.hash
FROM audit_log AS l WHERE $1::timestamptz IS NULL OR l.recorded_at < $1 ORDER BY l.chain, l.sequence

-- name: estimate_rows
-- About how many rows there are.
SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint
FROM pg_inherits AS i INNER JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = 'audit_log'::regclass

-- name: load_checkpoints
-- Every checkpoint in the order of its chain.
SELECT k.chain, k.sequence, k.hash, k.rows_dropped, k.before_month, k.verified, k.signed_off_by,
    extract(EPOCH FROM k.signed_off_at) * 1000000 AS signed_off_at_us, k.seal
FROM audit_checkpoints AS k ORDER BY k.chain, k.sequence
