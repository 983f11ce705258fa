-- Serves the segmenter: all it wants to know of the memberships of a batch's users, from the index alone.
DROP INDEX offer_segment_members_user;
CREATE INDEX offer_segment_members_user ON offer_segment_members (user_id)
INCLUDE (offer_id, valid_until, rules_version);

-- Reading from an index alone needs pages that a vacuum has seen: it must come by before a fifth is new.
ALTER TABLE topup_requests SET (autovacuum_vacuum_insert_scale_factor = 0.02);
ALTER TABLE offer_segment_members SET (
    autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_scale_factor = 0.05
);

-- The reference to offers cost half of each row's writing, and locked the offer beside redemptions.
ALTER TABLE offer_segment_members DROP CONSTRAINT offer_segment_members_offer_fk;

CREATE FUNCTION forget_members() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM offer_segment_members WHERE offer_id IN (SELECT id FROM deleted);
    RETURN NULL;
END $$;

CREATE TRIGGER offers_members_deleted AFTER DELETE ON offers
REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION forget_members();
