-- What caches of an offer's definition compare: raised whoever changes the offer or its products.
ALTER TABLE offers ADD COLUMN definition_version integer NOT NULL DEFAULT 1;
COMMENT ON COLUMN offers.definition_version IS
'Raised whenever what the offer gives, to which products, when or how often, changes. Its count of uses raises nothing.';

CREATE FUNCTION raise_own_definition_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.definition_version := OLD.definition_version + 1;
    RETURN NEW;
END $$;

CREATE TRIGGER offers_definition_version BEFORE UPDATE OF
code, title, status, discount_type, discount_value, per_user_limit, total_usage_limit, apply_to, allow_all, starts_at,
ends_at ON offers
FOR EACH ROW WHEN (
    (
        OLD.code, OLD.title, OLD.status, OLD.discount_type, OLD.discount_value, OLD.per_user_limit,
        OLD.total_usage_limit, OLD.apply_to, OLD.allow_all, OLD.starts_at, OLD.ends_at
    ) IS DISTINCT FROM (
        NEW.code, NEW.title, NEW.status, NEW.discount_type, NEW.discount_value, NEW.per_user_limit,
        NEW.total_usage_limit, NEW.apply_to, NEW.allow_all, NEW.starts_at, NEW.ends_at
    )
) EXECUTE FUNCTION raise_own_definition_version();

CREATE FUNCTION raise_definition_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE offers SET definition_version = definition_version + 1
    WHERE id IN (SELECT offer_id FROM changed);
    RETURN NULL;
END $$;

CREATE FUNCTION raise_definition_version_of_both() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE offers SET definition_version = definition_version + 1
    WHERE id IN (SELECT offer_id FROM before UNION SELECT offer_id FROM after);
    RETURN NULL;
END $$;

CREATE TRIGGER offer_products_inserted AFTER INSERT ON offer_products
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION raise_definition_version();
CREATE TRIGGER offer_products_updated AFTER UPDATE ON offer_products
REFERENCING OLD TABLE AS before NEW TABLE AS after
FOR EACH STATEMENT EXECUTE FUNCTION raise_definition_version_of_both();
CREATE TRIGGER offer_products_deleted AFTER DELETE ON offer_products
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION raise_definition_version();

-- An offer that stops keeping members loses them one by one; should it keep some again, none of before must count,
-- even if nobody looked at it in between.
DROP TRIGGER offers_rules_version ON offers;
CREATE TRIGGER offers_rules_version BEFORE UPDATE OF allow_all, eligibility_logic, status ON offers
FOR EACH ROW WHEN (
    (OLD.allow_all, OLD.eligibility_logic) IS DISTINCT FROM (NEW.allow_all, NEW.eligibility_logic)
    OR (OLD.status IN ('active', 'paused') AND NEW.status NOT IN ('active', 'paused'))
) EXECUTE FUNCTION raise_own_rules_version();
