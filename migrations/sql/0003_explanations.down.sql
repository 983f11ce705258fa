DROP TRIGGER offer_eligibility_rules_updated ON offer_eligibility_rules;
CREATE TRIGGER offer_eligibility_rules_updated AFTER UPDATE ON offer_eligibility_rules
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION raise_rules_version();
DROP FUNCTION raise_rules_version_where_rules_differ();

DROP FUNCTION explain_eligibility(uuid, uuid, timestamptz);
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
DROP FUNCTION eligibility_rule_missing(text, jsonb, jsonb);
DROP FUNCTION counted(integer, text);

DROP TABLE operators;
