-- The roles stay: they belong to the cluster, and other databases of it may use them.
REVOKE ALL ON ALL TABLES IN SCHEMA public
FROM offers_redemption, offers_segmenter, offers_audit, offers_admin, offers_reader;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public
FROM offers_redemption, offers_segmenter, offers_audit, offers_admin, offers_reader;

GRANT EXECUTE ON FUNCTION
raise_rules_version(), raise_rules_version_where_rules_differ(), raise_definition_version(),
raise_definition_version_of_both(), keep_definition(), forget_members(), open_decision_period(timestamptz),
drop_decision_periods(timestamptz), open_audit_month(timestamptz), drop_audit_months(date) TO public;

ALTER FUNCTION raise_rules_version() SECURITY INVOKER RESET search_path;
ALTER FUNCTION raise_rules_version_where_rules_differ() SECURITY INVOKER RESET search_path;
ALTER FUNCTION raise_definition_version() SECURITY INVOKER RESET search_path;
ALTER FUNCTION raise_definition_version_of_both() SECURITY INVOKER RESET search_path;
ALTER FUNCTION keep_definition() SECURITY INVOKER RESET search_path;
ALTER FUNCTION forget_members() SECURITY INVOKER RESET search_path;
ALTER FUNCTION open_decision_period(timestamptz) SECURITY INVOKER RESET search_path;
ALTER FUNCTION drop_decision_periods(timestamptz) SECURITY INVOKER RESET search_path;
ALTER FUNCTION open_audit_month(timestamptz) SECURITY INVOKER RESET search_path;
