-- The reference meaning of eligibility, exact at any instant. shared/validity.py is the fast path.

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

CREATE FUNCTION offer_allows_user(p_offer_id uuid, p_user_id uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT o.allow_all
        OR EXISTS (SELECT FROM offer_allowed_users AS a WHERE a.offer_id = o.id AND a.user_id = p_user_id)
        OR EXISTS (
            SELECT FROM users AS u INNER JOIN offer_allowed_roles AS r ON r.role = ANY(u.roles)
            WHERE u.id = p_user_id AND r.offer_id = o.id
        )
    FROM offers AS o WHERE o.id = p_offer_id
$$;
COMMENT ON FUNCTION offer_allows_user IS 'Whether the offer is open to the user, its rules aside.';

CREATE FUNCTION explain_eligibility(p_offer_id uuid, p_user_id uuid, p_at timestamptz DEFAULT now())
RETURNS TABLE (
    rule_key text, rule_type text, passed boolean, required jsonb, actual jsonb, valid_until timestamptz
) LANGUAGE sql STABLE AS $$
    SELECT r.rule_key, r.rule_type, e.passed, e.required, e.actual, e.valid_until
    FROM offer_eligibility_rules AS r,
        LATERAL eligibility_rule_outcome(r.rule_type, r.params, p_user_id, p_at) AS e
    WHERE r.offer_id = p_offer_id
    ORDER BY r.position, r.rule_key
$$;
COMMENT ON FUNCTION explain_eligibility IS 'Each rule of an offer with what it requires and what the user has.';

CREATE FUNCTION eligibility_valid_until(p_offer_id uuid, p_user_id uuid, p_at timestamptz DEFAULT now())
RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN NOT offer_allows_user(o.id, p_user_id) THEN NULL
        WHEN v.rules = 0 THEN 'infinity'
        WHEN o.eligibility_logic = 'all' AND v.passing = v.rules THEN v.least
        WHEN o.eligibility_logic = 'any' THEN v.greatest
    END
    FROM offers AS o,
        LATERAL (
            SELECT count(*) AS rules, count(*) FILTER (WHERE e.passed) AS passing,
                min(e.valid_until) AS least, max(e.valid_until) AS greatest
            FROM explain_eligibility(o.id, p_user_id, p_at) AS e
        ) AS v
    WHERE o.id = p_offer_id
$$;
COMMENT ON FUNCTION eligibility_valid_until IS
'Until when a user who is eligible now stays so without a further event; null: not eligible.';

CREATE FUNCTION is_user_eligible_for_offer(p_offer_id uuid, p_user_id uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        (
            SELECT offer_allows_user(o.id, p_user_id) AND CASE o.eligibility_logic
                WHEN 'all' THEN coalesce(v.every, true)
                ELSE coalesce(v.some, true)
            END
            FROM offers AS o,
                LATERAL (
                    SELECT bool_and(e.passed) AS every, bool_or(e.passed) AS some
                    FROM explain_eligibility(o.id, p_user_id) AS e
                ) AS v
            WHERE o.id = p_offer_id
        ),
        false
    )
$$;
COMMENT ON FUNCTION is_user_eligible_for_offer IS
'Whether a user may use an offer now: open to them, and its rules passed. An unknown offer: false.';

-- Whatever changes who may use an offer raises its rules_version, whoever changes it.
CREATE FUNCTION raise_rules_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE offers SET rules_version = rules_version + 1
    WHERE id IN (SELECT offer_id FROM changed);
    RETURN NULL;
END $$;

CREATE FUNCTION raise_own_rules_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.rules_version := OLD.rules_version + 1;
    RETURN NEW;
END $$;

CREATE TRIGGER offers_rules_version BEFORE UPDATE OF allow_all, eligibility_logic ON offers
FOR EACH ROW WHEN (
    (OLD.allow_all, OLD.eligibility_logic) IS DISTINCT FROM (NEW.allow_all, NEW.eligibility_logic)
) EXECUTE FUNCTION raise_own_rules_version();

CREATE TRIGGER offer_eligibility_rules_inserted AFTER INSERT ON offer_eligibility_rules
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION raise_rules_version();
CREATE TRIGGER offer_eligibility_rules_updated AFTER UPDATE ON offer_eligibility_rules
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION raise_rules_version();
CREATE TRIGGER offer_eligibility_rules_deleted AFTER DELETE ON offer_eligibility_rules
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION raise_rules_version();

CREATE TRIGGER offer_allowed_users_inserted AFTER INSERT ON offer_allowed_users
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION raise_rules_version();
CREATE TRIGGER offer_allowed_users_deleted AFTER DELETE ON offer_allowed_users
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION raise_rules_version();

CREATE TRIGGER offer_allowed_roles_inserted AFTER INSERT ON offer_allowed_roles
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION raise_rules_version();
CREATE TRIGGER offer_allowed_roles_deleted AFTER DELETE ON offer_allowed_roles
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION raise_rules_version();
