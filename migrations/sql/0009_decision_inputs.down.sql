DROP TRIGGER offers_definition_kept ON offers;
DROP TRIGGER offers_definition_kept_first ON offers;
DROP FUNCTION keep_definition();
DROP TABLE offer_definitions;
ALTER TABLE redemption_decisions DROP COLUMN inputs;
