-- name: load_transactions
-- The counted transactions of users, one column of fixed-width values each. Places count from 1.
SELECT
    string_agg(int8send(n.place), '') AS places,
    string_agg(timestamptz_send(t.occurred_at), '') AS occurred,
    string_agg(int8send((t.amount * 100)::bigint), '') AS cents,
    string_agg(uuid_send(t.operator_id), '') AS operators,
    string_agg(boolsend(t.kind = 'topup'), '') AS are_topups
FROM unnest($1::uuid[]) WITH ORDINALITY AS n (id, place)
INNER JOIN topup_requests AS t ON t.user_id = n.id AND t.status = 'succeeded'

-- name: load_transactions_between
-- The counted transactions of users with ids in a range, by id and newest first: those not older than a time, maybe
-- only topups or those on some operators. One column of fixed-width values each; some are left out where not wanted.
SELECT
    string_agg(uuid_send(t.user_id), '' ORDER BY t.user_id, t.occurred_at DESC) AS user_ids,
    string_agg(
        CASE WHEN $6::boolean THEN timestamptz_send(t.occurred_at) END, '' ORDER BY t.user_id, t.occurred_at DESC
    ) AS occurred,
    string_agg(
        CASE WHEN $7::boolean THEN int8send((t.amount * 100)::bigint) END, '' ORDER BY t.user_id, t.occurred_at DESC
    ) AS cents,
    string_agg(
        CASE WHEN $8::boolean THEN uuid_send(t.operator_id) END, '' ORDER BY t.user_id, t.occurred_at DESC
    ) AS operators,
    string_agg(
        CASE WHEN $9::boolean THEN boolsend(t.kind = 'topup') END, '' ORDER BY t.user_id, t.occurred_at DESC
    ) AS are_topups
FROM topup_requests AS t
WHERE t.user_id BETWEEN $1 AND $2 AND t.status = 'succeeded' AND t.occurred_at > $3
    AND (NOT $4::boolean OR t.kind = 'topup')
    AND ($5::uuid[] IS NULL OR t.operator_id = ANY($5))
