-- A user may be tested at another date: with the clock there, and for a past one without what happened later.
DROP FUNCTION eligibility_rule_outcome(text, jsonb, uuid, timestamptz);
CREATE FUNCTION eligibility_rule_outcome(
    p_rule_type text, p_params jsonb, p_user_id uuid, p_at timestamptz, p_known timestamptz DEFAULT 'infinity',
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
            SELECT u.created_at INTO registered FROM users AS u
            WHERE u.id = p_user_id AND u.created_at <= p_known;
            required := p_params -> 'account_age_days';
            actual := to_jsonb(round(extract(epoch FROM p_at - registered) / 86400, 2));
            -- Inclusive: the account is new up to and with this instant, so it lapses one microsecond later.
            valid_until := registered + (p_params ->> 'account_age_days')::integer * day
                + interval '1 microsecond';
            passed := coalesce(p_at < valid_until, false);
        WHEN p_rule_type = 'last_active_within' THEN
            SELECT max(t.occurred_at) INTO deciding
            FROM topup_requests AS t
            WHERE t.user_id = p_user_id AND t.status = 'succeeded' AND t.occurred_at <= p_known;
            required := p_params -> 'window_days';
            actual := to_jsonb(round(extract(epoch FROM p_at - deciding) / 86400, 2));
            valid_until := deciding + span;
            passed := coalesce(p_at < valid_until, false);
        WHEN p_rule_type IN ('min_topups', 'min_transactions', 'operator_topup_count') THEN
            SELECT count(*), (array_agg(t.occurred_at ORDER BY t.occurred_at DESC))[needed_count]
            INTO found_count, deciding
            FROM topup_requests AS t
            WHERE t.user_id = p_user_id AND t.status = 'succeeded' AND t.occurred_at > since AND t.occurred_at <= p_known
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
                WHERE t.user_id = p_user_id AND t.status = 'succeeded' AND t.occurred_at > since AND t.occurred_at <= p_known
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
                WHERE t.user_id = p_user_id AND t.status = 'succeeded' AND t.occurred_at > since AND t.occurred_at <= p_known
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
'How one rule judges a user at an instant, and when a passing verdict lapses (infinity: never).
What happened after p_known is left out.';

CREATE FUNCTION explain_rules(
    p_rules jsonb, p_logic text, p_user_id uuid, p_at timestamptz,
    OUT passed boolean, OUT valid_until timestamptz, OUT rules jsonb
) LANGUAGE sql STABLE AS $$
    SELECT
        coalesce(CASE p_logic WHEN 'all' THEN bool_and(e.passed) ELSE bool_or(e.passed) END, true),
        CASE
            WHEN count(*) = 0 THEN 'infinity'
            WHEN p_logic <> 'all' THEN max(e.valid_until)
            WHEN bool_and(e.passed) THEN min(e.valid_until)
        END,
        coalesce(jsonb_agg(
            jsonb_build_object(
                'rule_key', r.rule -> 'rule_key', 'rule_type', r.rule -> 'rule_type', 'passed', e.passed,
                'required', e.required, 'actual', e.actual, 'valid_until', nullif(e.valid_until, 'infinity'),
                'missing', CASE
                    WHEN NOT e.passed
                        THEN eligibility_rule_missing(r.rule ->> 'rule_type', r.rule -> 'params', e.actual)
                END
            ) ORDER BY r.place
        ), '[]')
    FROM jsonb_array_elements(p_rules) WITH ORDINALITY AS r (rule, place)
    CROSS JOIN LATERAL eligibility_rule_outcome(
        r.rule ->> 'rule_type', r.rule -> 'params', p_user_id, p_at,
        CASE WHEN p_at < now() THEN p_at ELSE 'infinity' END
    ) AS e
$$;
COMMENT ON FUNCTION explain_rules IS
'How rules that need not be stored judge a user, with the clock at an instant: a past one sees nothing that happened later.';

-- A user's newest transactions are shown with those that don't count; few fail, so this costs writers little.
CREATE INDEX topup_requests_not_counted ON topup_requests (user_id, occurred_at DESC) WHERE status <> 'succeeded';

-- People look for what is rare: what people did, and what was revoked.
CREATE INDEX audit_log_actor ON audit_log (actor, occurred_at, event_id) WHERE actor <> 'checkout';
CREATE INDEX audit_log_type ON audit_log (type, occurred_at, event_id)
WHERE type NOT IN ('redemption.accepted', 'redemption.rejected');

-- The admin's pages tell what was decided and changed, and what decisions rested on.
GRANT SELECT ON audit_log, redemption_decisions, offer_definitions TO offers_admin;
