REVOKE SELECT ON audit_log, redemption_decisions, offer_definitions FROM offers_admin;

DROP INDEX audit_log_type;
DROP INDEX audit_log_actor;
DROP INDEX topup_requests_not_counted;

DROP FUNCTION explain_rules(jsonb, text, uuid, timestamptz);
DROP FUNCTION eligibility_rule_outcome(text, jsonb, uuid, timestamptz, timestamptz);
CREATE FUNCTION eligibility_rule_outcome(
    p_rule_type text, p_params jsonb, p_user_id uuid, p_at timestamptz,
    OUT passed boolean, OUT required jsonb, OUT actual jsonb, OUT valid_until timestamptz
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    day CONSTANT interval := interval '24 hours';
    span interval := (p_params ->> 'window_days')::integer * day;
    since timestamptz := coalesce(p_at - span, '-infinity');
    operator uuid := (p_params ->> 'operator_id')::uuid;
    topups_only boolean := p_rule_type IN ('min_topups', 'operator_topup_count');
    needed_count integer := (p_params ->> 'count')::integer;
    needed_amount numeric := (p_params ->> 'amount')::numeric;
    found_count integer;
    found_amount numeric;
    registered timestamptz;
    deciding timestamptz;
BEGIN
    CASE
        WHEN p_rule_type = 'new_user' THEN
            SELECT u.created_at INTO registered FROM users AS u WHERE u.id = p_user_id;
            required := p_params -> 'account_age_days';
            actual := to_jsonb(round(extract(epoch FROM p_at - registered) / 86400, 2));
            -- Inclusive: the account is new up to and with this instant, so it lapses one microsecond later.
            valid_until := registered + (p_params ->> 'account_age_days')::integer * day
                + interval '1 microsecond';
            passed := coalesce(p_at < valid_until, false);
        WHEN p_rule_type = 'last_active_within' THEN
            SELECT max(t.occurred_at) INTO deciding
            FROM topup_requests AS t WHERE t.user_id = p_user_id AND t.status = 'succeeded';
            required := p_params -> 'window_days';
            actual := to_jsonb(round(extract(epoch FROM p_at - deciding) / 86400, 2));
            valid_until := deciding + span;
            passed := coalesce(p_at < valid_until, false);
        WHEN p_rule_type IN ('min_topups', 'min_transactions', 'operator_topup_count') THEN
            SELECT count(*), (array_agg(t.occurred_at ORDER BY t.occurred_at DESC))[needed_count]
            INTO found_count, deciding
            FROM topup_requests AS t
            WHERE t.user_id = p_user_id AND t.status = 'succeeded' AND t.occurred_at > since
                AND (operator IS NULL OR t.operator_id = operator)
                AND (NOT topups_only OR t.kind = 'topup');
            required := to_jsonb(needed_count);
            actual := to_jsonb(found_count);
            passed := found_count >= needed_count;
            valid_until := coalesce(deciding + span, 'infinity');
        WHEN p_rule_type = 'active_days' THEN
            SELECT count(*), (array_agg(d.latest ORDER BY d.latest DESC))[needed_count]
            INTO found_count, deciding
            FROM (
                SELECT max(t.occurred_at) AS latest
                FROM topup_requests AS t
                WHERE t.user_id = p_user_id AND t.status = 'succeeded' AND t.occurred_at > since
                GROUP BY (t.occurred_at AT TIME ZONE 'UTC')::date
            ) AS d;
            required := to_jsonb(needed_count);
            actual := to_jsonb(found_count);
            passed := found_count >= needed_count;
            valid_until := coalesce(deciding + span, 'infinity');
        WHEN p_rule_type IN ('min_spent', 'operator_spent') THEN
            SELECT coalesce(sum(s.amount), 0), max(s.occurred_at) FILTER (WHERE s.running >= needed_amount)
            INTO found_amount, deciding
            FROM (
                SELECT t.amount, t.occurred_at,
                    sum(t.amount) OVER (ORDER BY t.occurred_at DESC ROWS UNBOUNDED PRECEDING) AS running
                FROM topup_requests AS t
                WHERE t.user_id = p_user_id AND t.status = 'succeeded' AND t.occurred_at > since
                    AND (operator IS NULL OR t.operator_id = operator)
            ) AS s;
            required := to_jsonb(to_char(needed_amount, 'FM999999999990.00'));
            actual := to_jsonb(to_char(found_amount, 'FM999999999999990.00'));
            passed := found_amount >= needed_amount;
            valid_until := coalesce(deciding + span, 'infinity');
        ELSE
            RAISE EXCEPTION 'unknown rule type %', p_rule_type;
    END CASE;
    IF NOT passed THEN
        valid_until := NULL;
    END IF;
END $$;
COMMENT ON FUNCTION eligibility_rule_outcome IS
'How one rule judges a user at an instant, and when a passing verdict lapses (infinity: never).';
