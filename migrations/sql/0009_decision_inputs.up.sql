-- What a decision rested on beside its request, so that it can be made again.
ALTER TABLE redemption_decisions ADD COLUMN inputs text;
COMMENT ON COLUMN redemption_decisions.inputs IS
'JSON: what was known when it was made, beside the request; services/redemption/inputs.py. Null: it was made before that was kept.';

CREATE TABLE offer_definitions (
    offer_id uuid NOT NULL,
    definition_version integer NOT NULL,
    definition jsonb NOT NULL,
    CONSTRAINT offer_definitions_pkey PRIMARY KEY (offer_id, definition_version)
);
COMMENT ON TABLE offer_definitions IS
'What each version of an offer was as decisions use it; they name the version. Kept though the offer be deleted.';

CREATE FUNCTION keep_definition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO offer_definitions (offer_id, definition_version, definition)
    SELECT o.id, o.definition_version, jsonb_build_object(
        'id', o.id, 'code', o.code, 'title', o.title, 'status', o.status, 'discount_type', o.discount_type,
        'discount_value', o.discount_value::text, 'per_user_limit', o.per_user_limit,
        'total_usage_limit', o.total_usage_limit, 'apply_to', o.apply_to,
        'starts_at', nullif(o.starts_at, '-infinity'), 'ends_at', nullif(o.ends_at, 'infinity'),
        'products', (
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'operator_product_id', p.operator_product_id,
                'supplier_product_mapping_id', p.supplier_product_mapping_id,
                'price_override', p.price_override::text,
                'max_quantity_per_purchase', p.max_quantity_per_purchase
            ) ORDER BY p.id), '[]')
            FROM offer_products AS p WHERE p.offer_id = o.id
        )
    )
    FROM offers AS o WHERE o.id = NEW.id
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION keep_definition IS
'Keeps an offer''s present version. Runs as the transaction ends: only its last version is ever seen by a decision.';

CREATE CONSTRAINT TRIGGER offers_definition_kept_first AFTER INSERT ON offers
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION keep_definition();
-- The columns that offers_definition_version looks at, and the version itself: counting uses costs nothing.
CREATE CONSTRAINT TRIGGER offers_definition_kept AFTER UPDATE OF
code, title, status, discount_type, discount_value, per_user_limit, total_usage_limit, apply_to, allow_all, starts_at,
ends_at, definition_version ON offers
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.definition_version <> NEW.definition_version)
EXECUTE FUNCTION keep_definition();

-- Offers that are there already: as if each had been edited, which raises their versions once.
UPDATE offers SET definition_version = definition_version + 1;
