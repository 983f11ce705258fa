-- One group role a service: whoever runs a service logs in as a member of its role, and owns nothing. Roles belong to
-- the cluster, so another database may have made them; who lacks CREATEROLE has them made beforehand.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY[
        'offers_redemption', 'offers_segmenter', 'offers_audit', 'offers_admin', 'offers_reader'
    ] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = wanted);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- Another database's migration made it just now.
        END;
    END LOOP;
END $$;

-- What changes an offer raises its versions and keeps its definition, with the owner's rights: writers don't have them.
ALTER FUNCTION raise_rules_version() SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION raise_rules_version_where_rules_differ() SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION raise_definition_version() SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION raise_definition_version_of_both() SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION keep_definition() SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION forget_members() SECURITY DEFINER SET search_path = public, pg_temp;
-- These make and drop partitions, which only an owner may.
ALTER FUNCTION open_decision_period(timestamptz) SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION drop_decision_periods(timestamptz) SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION open_audit_month(timestamptz) SECURITY DEFINER SET search_path = public, pg_temp;

REVOKE EXECUTE ON FUNCTION
raise_rules_version(), raise_rules_version_where_rules_differ(), raise_definition_version(),
raise_definition_version_of_both(), keep_definition(), forget_members(), open_decision_period(timestamptz),
drop_decision_periods(timestamptz), open_audit_month(timestamptz), drop_audit_months(date) FROM public;
GRANT EXECUTE ON FUNCTION open_decision_period(timestamptz), drop_decision_periods(timestamptz) TO offers_redemption;

-- Redemption decides, counts, and cancels; it changes nothing of what it decides by.
GRANT SELECT ON
offers, offer_products, offer_allowed_users, offer_allowed_roles, offer_eligibility_rules, offer_segment_members,
users, topup_requests, operators, offer_redemptions, redemption_decisions, decision_periods TO offers_redemption;
GRANT UPDATE (usage_count) ON offers TO offers_redemption;
GRANT INSERT, UPDATE (revoked_at) ON offer_redemptions TO offers_redemption;
GRANT INSERT ON redemption_decisions TO offers_redemption;

-- The segmenter writes the read models, the memberships and what they announce.
GRANT SELECT ON offers, offer_allowed_users, offer_allowed_roles, offer_eligibility_rules TO offers_segmenter;
GRANT SELECT, INSERT, UPDATE ON users, topup_requests, offer_segment_rebuilds TO offers_segmenter;
GRANT SELECT, INSERT, UPDATE, DELETE ON offer_segment_members TO offers_segmenter;
GRANT SELECT, INSERT, DELETE ON outbox TO offers_segmenter;

-- Audit adds to the log, and moves the ends of its chains. Its API looks tokens up.
GRANT SELECT, INSERT ON audit_log TO offers_audit;
GRANT SELECT, INSERT, UPDATE ON audit_chains TO offers_audit;
GRANT SELECT ON audit_checkpoints TO offers_audit;
GRANT EXECUTE ON FUNCTION open_audit_month(timestamptz) TO offers_audit;
GRANT SELECT (name, role, token_hash, revoked_at) ON api_tokens TO offers_audit;

-- Admin edits offers, but neither their count of uses nor their versions.
GRANT SELECT ON
offers, offer_products, offer_allowed_users, offer_allowed_roles, offer_eligibility_rules, offer_segment_members,
offer_redemptions, users, topup_requests, operators, outbox TO offers_admin;
GRANT INSERT (
    code, title, description, discount_type, discount_value, per_user_limit, total_usage_limit, apply_to, allow_all,
    eligibility_logic, starts_at, ends_at, created_by
), UPDATE (
    code, title, description, status, discount_type, discount_value, per_user_limit, total_usage_limit, apply_to,
    allow_all, eligibility_logic, starts_at, ends_at, version, updated_at
) ON offers TO offers_admin;
GRANT INSERT, DELETE ON offer_products, offer_allowed_users, offer_allowed_roles, outbox TO offers_admin;
GRANT INSERT, UPDATE, DELETE ON offer_eligibility_rules TO offers_admin;
GRANT INSERT, UPDATE ON operators TO offers_admin;
GRANT SELECT (name, role, token_hash, revoked_at) ON api_tokens TO offers_admin;

-- `offers verify` and `offers explain` read everything but tokens and what waits to be sent.
GRANT SELECT ON
offers, offer_products, offer_allowed_users, offer_allowed_roles, offer_eligibility_rules, offer_segment_members,
offer_segment_rebuilds, offer_definitions, offer_redemptions, redemption_decisions, decision_periods, users,
topup_requests, operators, audit_log, audit_chains, audit_checkpoints TO offers_reader;
