DROP TRIGGER offer_products_deleted ON offer_products;
DROP TRIGGER offer_products_updated ON offer_products;
DROP TRIGGER offer_products_inserted ON offer_products;
DROP FUNCTION raise_definition_version_of_both();
DROP FUNCTION raise_definition_version();
DROP TRIGGER offers_definition_version ON offers;
DROP FUNCTION raise_own_definition_version();
ALTER TABLE offers DROP COLUMN definition_version;
