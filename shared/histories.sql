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
