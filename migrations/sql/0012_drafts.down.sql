DROP TABLE offer_versions;
DROP TABLE offer_draft_steps;
DROP TABLE offer_drafts;
ALTER TABLE offers DROP COLUMN disabled_rules;
