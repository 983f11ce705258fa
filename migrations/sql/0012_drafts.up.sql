-- Rules that are switched off stand beside the offer, not among its rules: nothing that decides ever meets them.
ALTER TABLE offers ADD COLUMN disabled_rules jsonb NOT NULL DEFAULT '[]'
CONSTRAINT offers_disabled_rules_listed CHECK (jsonb_typeof(disabled_rules) = 'array');
COMMENT ON COLUMN offers.disabled_rules IS
'Rules kept but switched off: rule_key, rule_type, params, description, and their position among all.';

CREATE TABLE offer_drafts (
    offer_id uuid NOT NULL CONSTRAINT offer_drafts_offer_fk REFERENCES offers ON DELETE CASCADE,
    edited_by text NOT NULL,
    base_version integer NOT NULL,
    revision integer NOT NULL DEFAULT 1,
    step integer NOT NULL DEFAULT 0,
    allowed_users uuid[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT offer_drafts_pkey PRIMARY KEY (offer_id, edited_by)
);
COMMENT ON TABLE offer_drafts IS 'Edits of an offer that are not published, one draft for each who edits.';
COMMENT ON COLUMN offer_drafts.base_version IS 'The offer''s version the draft was made from.';
COMMENT ON COLUMN offer_drafts.revision IS 'Raised by every save, so that two tabs don''t overwrite each other.';
COMMENT ON COLUMN offer_drafts.step IS 'Which of its steps the draft stands at.';
COMMENT ON COLUMN offer_drafts.allowed_users IS 'Apart from the steps: the list may be long, and undo leaves it alone.';

CREATE TABLE offer_draft_steps (
    offer_id uuid NOT NULL,
    edited_by text NOT NULL,
    step integer NOT NULL,
    content jsonb NOT NULL,
    CONSTRAINT offer_draft_steps_pkey PRIMARY KEY (offer_id, edited_by, step),
    CONSTRAINT offer_draft_steps_draft_fk FOREIGN KEY (offer_id, edited_by) REFERENCES offer_drafts ON DELETE CASCADE
);
COMMENT ON TABLE offer_draft_steps IS 'What a draft was and is, for undo and redo: as typed, valid or not.';

CREATE TABLE offer_versions (
    offer_id uuid NOT NULL CONSTRAINT offer_versions_offer_fk REFERENCES offers ON DELETE CASCADE,
    version integer NOT NULL,
    change text NOT NULL,
    content jsonb NOT NULL,
    allowed_users integer NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT offer_versions_pkey PRIMARY KEY (offer_id, version)
);
COMMENT ON TABLE offer_versions IS 'What an offer was at each of its versions, to compare with and to return to.';
COMMENT ON COLUMN offer_versions.allowed_users IS 'How many; the list itself is not kept.';

GRANT INSERT (disabled_rules), UPDATE (disabled_rules) ON offers TO offers_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON offer_drafts, offer_draft_steps TO offers_admin;
GRANT SELECT, INSERT ON offer_versions TO offers_admin;
GRANT SELECT ON offer_versions TO offers_reader;
