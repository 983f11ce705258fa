DROP TRIGGER offers_members_deleted ON offers;
DROP FUNCTION forget_members();

DELETE FROM offer_segment_members AS m WHERE NOT EXISTS (SELECT FROM offers AS o WHERE o.id = m.offer_id);
ALTER TABLE offer_segment_members ADD CONSTRAINT offer_segment_members_offer_fk
FOREIGN KEY (offer_id) REFERENCES offers ON DELETE CASCADE;

ALTER TABLE offer_segment_members RESET (
    autovacuum_vacuum_insert_scale_factor, autovacuum_vacuum_scale_factor
);
ALTER TABLE topup_requests RESET (autovacuum_vacuum_insert_scale_factor);
DROP INDEX offer_segment_members_user;
CREATE INDEX offer_segment_members_user ON offer_segment_members (user_id);
