DROP TRIGGER offers_rules_version ON offers;
CREATE TRIGGER offers_rules_version BEFORE UPDATE OF allow_all, eligibility_logic ON offers
FOR EACH ROW WHEN (
    (OLD.allow_all, OLD.eligibility_logic) IS DISTINCT FROM (NEW.allow_all, NEW.eligibility_logic)
) EXECUTE FUNCTION raise_own_rules_version();

DROP TRIGGER offer_products_deleted ON offer_products;
DROP TRIGGER offer_products_updated ON offer_products;
DROP TRIGGER offer_products_inserted ON offer_products;
DROP FUNCTION raise_definition_version_of_both();
DROP FUNCTION raise_definition_version();
DROP TRIGGER offers_definition_version ON offers;
DROP FUNCTION raise_own_definition_version();
ALTER TABLE offers DROP COLUMN definition_version;
