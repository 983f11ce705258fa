-- What people call the operators of rules and topups.
CREATE TABLE operators (
    id uuid CONSTRAINT operators_pkey PRIMARY KEY,
    name text NOT NULL CONSTRAINT operators_name_not_empty CHECK (name <> ''),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE operators IS 'Operators'' names as people know them; nothing is decided by them.';
COMMENT ON COLUMN operators.name IS 'Shown in explanations; an operator without a row is shown by its id.';

-- Each rule's verdict, with what a person has to hear when it fails.
CREATE FUNCTION counted(p_number integer, p_noun text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT p_number::text || ' ' || p_noun || CASE p_number WHEN 1 THEN '' ELSE 's' END
$$;
COMMENT ON FUNCTION counted IS 'A number of things in English: 1 day, 2 days.';

CREATE FUNCTION eligibility_rule_missing(p_rule_type text, p_params jsonb, p_actual jsonb) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    operator uuid := (p_params ->> 'operator_id')::uuid;
    needed numeric := coalesce(p_params ->> 'count', p_params ->> 'amount');
    lacking numeric := needed - (p_actual #>> '{}')::numeric;
    missing text;
BEGIN
    IF p_rule_type = 'new_user' THEN
        RETURN CASE
            WHEN p_actual IS NULL THEN 'a known registration date'
            ELSE 'an account at most ' || counted((p_params ->> 'account_age_days')::integer, 'day') || ' old'
        END;
    END IF;
    missing := CASE
        WHEN p_rule_type = 'last_active_within' THEN 'a transaction'
        WHEN p_rule_type = 'min_transactions' THEN counted(lacking::integer, 'more transaction')
        WHEN p_rule_type = 'active_days' THEN counted(lacking::integer, 'more active day')
        WHEN p_rule_type IN ('min_topups', 'operator_topup_count') THEN counted(lacking::integer, 'more topup')
        ELSE to_char(lacking, 'FM999999999990.00') || ' more spent'
    END;
    IF operator IS NOT NULL THEN
        missing := missing || ' on ' || coalesce(
            (SELECT o.name FROM operators AS o WHERE o.id = operator), 'operator ' || operator
        );
    END IF;
    RETURN missing || coalesce(' within ' || counted((p_params ->> 'window_days')::integer, 'day'), '');
END $$;
COMMENT ON FUNCTION eligibility_rule_missing IS
'What a user whom a rule fails still lacks, for a person to read; p_actual as eligibility_rule_outcome gives it.';

DROP FUNCTION explain_eligibility(uuid, uuid, timestamptz);
CREATE FUNCTION explain_eligibility(p_offer_id uuid, p_user_id uuid, p_at timestamptz DEFAULT now())
RETURNS TABLE (
    rule_key text, rule_type text, passed boolean, required jsonb, actual jsonb, valid_until timestamptz,
    missing text
) LANGUAGE sql STABLE AS $$
    SELECT r.rule_key, r.rule_type, e.passed, e.required, e.actual, e.valid_until,
        CASE WHEN NOT e.passed THEN eligibility_rule_missing(r.rule_type, r.params, e.actual) END
    FROM offer_eligibility_rules AS r,
        LATERAL eligibility_rule_outcome(r.rule_type, r.params, p_user_id, p_at) AS e
    WHERE r.offer_id = p_offer_id
    ORDER BY r.position, r.rule_key
$$;
COMMENT ON FUNCTION explain_eligibility IS
'Each rule of an offer with what it requires, what the user has, and what is still missing.';

-- A rule's description and place decide nothing: changing them alone leaves the members right.
CREATE FUNCTION raise_rules_version_where_rules_differ() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE offers SET rules_version = rules_version + 1
    WHERE id IN (
        SELECT d.offer_id
        FROM (
            (
                SELECT b.offer_id, b.rule_key, b.rule_type, b.params FROM before AS b
                EXCEPT SELECT a.offer_id, a.rule_key, a.rule_type, a.params FROM after AS a
            )
            UNION ALL
            (
                SELECT a.offer_id, a.rule_key, a.rule_type, a.params FROM after AS a
                EXCEPT SELECT b.offer_id, b.rule_key, b.rule_type, b.params FROM before AS b
            )
        ) AS d
    );
    RETURN NULL;
END $$;

DROP TRIGGER offer_eligibility_rules_updated ON offer_eligibility_rules;
CREATE TRIGGER offer_eligibility_rules_updated AFTER UPDATE ON offer_eligibility_rules
REFERENCING OLD TABLE AS before NEW TABLE AS after
FOR EACH STATEMENT EXECUTE FUNCTION raise_rules_version_where_rules_differ();
