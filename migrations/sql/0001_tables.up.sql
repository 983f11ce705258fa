-- Offers: what marketing creates.
CREATE TABLE offers (
    id uuid CONSTRAINT offers_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
    code text NOT NULL CONSTRAINT offers_code_unique UNIQUE,
    title text NOT NULL,
    description text NOT NULL DEFAULT '',
    status text NOT NULL DEFAULT 'draft',
    discount_type text NOT NULL,
    discount_value numeric(12, 2) NOT NULL,
    per_user_limit integer,
    total_usage_limit integer,
    usage_count integer NOT NULL DEFAULT 0,
    apply_to text NOT NULL DEFAULT 'all',
    allow_all boolean NOT NULL DEFAULT true,
    eligibility_logic text NOT NULL DEFAULT 'all',
    starts_at timestamptz,
    ends_at timestamptz,
    version integer NOT NULL DEFAULT 1,
    rules_version integer NOT NULL DEFAULT 1,
    created_by text NOT NULL DEFAULT 'system',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT offers_status_known CHECK (status IN ('draft', 'active', 'paused', 'archived')),
    CONSTRAINT offers_discount_type_known CHECK (
        discount_type IN ('percentage', 'fixed_amount', 'price_override')
    ),
    CONSTRAINT offers_discount_value_in_range CHECK (
        discount_value >= 0 AND (discount_type <> 'percentage' OR discount_value <= 100)
    ),
    CONSTRAINT offers_per_user_limit_positive CHECK (per_user_limit > 0),
    CONSTRAINT offers_total_usage_limit_positive CHECK (total_usage_limit > 0),
    CONSTRAINT offers_usage_within_limit CHECK (
        usage_count >= 0 AND (total_usage_limit IS NULL OR usage_count <= total_usage_limit)
    ),
    CONSTRAINT offers_apply_to_known CHECK (apply_to IN ('all', 'products')),
    CONSTRAINT offers_eligibility_logic_known CHECK (eligibility_logic IN ('all', 'any')),
    CONSTRAINT offers_ends_after_start CHECK (ends_at > starts_at)
);
COMMENT ON TABLE offers IS 'Offers as marketing defines them, with the count of their uses.';
COMMENT ON COLUMN offers.usage_count IS 'Redemptions not revoked; changed only with them, in their transaction.';
COMMENT ON COLUMN offers.allow_all IS 'True: every user may use it. False: only allowed users and roles.';
COMMENT ON COLUMN offers.starts_at IS 'Null: at once.';
COMMENT ON COLUMN offers.ends_at IS 'Null: never. Exclusive.';
COMMENT ON COLUMN offers.version IS 'Raised by every edit; writers state the version they edited.';
COMMENT ON COLUMN offers.rules_version IS
'Raised whenever who may use the offer changes. A member row of another version proves nothing.';

-- Serves the segmenter and checkouts' open quotes: the offers that can be in use.
CREATE INDEX offers_live ON offers (id) WHERE status IN ('active', 'paused');
-- Serves the admin list, newest first.
CREATE INDEX offers_created_at ON offers (created_at DESC, id);

CREATE TABLE offer_products (
    id uuid CONSTRAINT offer_products_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
    offer_id uuid NOT NULL CONSTRAINT offer_products_offer_fk REFERENCES offers ON DELETE CASCADE,
    operator_product_id uuid,
    supplier_product_mapping_id uuid,
    price_override numeric(12, 2) CONSTRAINT offer_products_price_override_positive CHECK (price_override >= 0),
    max_quantity_per_purchase integer
    CONSTRAINT offer_products_max_quantity_positive CHECK (max_quantity_per_purchase > 0),
    CONSTRAINT offer_products_names_a_product CHECK (
        num_nonnulls(operator_product_id, supplier_product_mapping_id) > 0
    ),
    CONSTRAINT offer_products_unique UNIQUE (offer_id, operator_product_id, supplier_product_mapping_id)
);
COMMENT ON TABLE offer_products IS 'The products an offer covers when apply_to is products, and their special terms.';
COMMENT ON COLUMN offer_products.price_override IS 'Unit price of this product under the offer, instead of its discount.';

CREATE TABLE offer_allowed_users (
    offer_id uuid NOT NULL CONSTRAINT offer_allowed_users_offer_fk REFERENCES offers ON DELETE CASCADE,
    user_id uuid NOT NULL,
    CONSTRAINT offer_allowed_users_pkey PRIMARY KEY (offer_id, user_id)
);
COMMENT ON TABLE offer_allowed_users IS 'Users who may use an offer that is not open to all.';
CREATE INDEX offer_allowed_users_user ON offer_allowed_users (user_id);

CREATE TABLE offer_allowed_roles (
    offer_id uuid NOT NULL CONSTRAINT offer_allowed_roles_offer_fk REFERENCES offers ON DELETE CASCADE,
    role text NOT NULL,
    CONSTRAINT offer_allowed_roles_pkey PRIMARY KEY (offer_id, role)
);
COMMENT ON TABLE offer_allowed_roles IS 'Roles whose holders may use an offer that is not open to all.';

CREATE TABLE offer_eligibility_rules (
    id uuid CONSTRAINT offer_eligibility_rules_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
    offer_id uuid NOT NULL CONSTRAINT offer_eligibility_rules_offer_fk REFERENCES offers ON DELETE CASCADE,
    rule_key text NOT NULL,
    rule_type text NOT NULL,
    params jsonb NOT NULL,
    description text NOT NULL DEFAULT '',
    position integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT offer_eligibility_rules_key_unique UNIQUE (offer_id, rule_key),
    CONSTRAINT offer_eligibility_rules_type_known CHECK (
        rule_type IN (
            'new_user', 'min_topups', 'min_transactions', 'min_spent', 'operator_topup_count',
            'operator_spent', 'active_days', 'last_active_within'
        )
    ),
    CONSTRAINT offer_eligibility_rules_params_object CHECK (jsonb_typeof(params) = 'object')
);
COMMENT ON TABLE offer_eligibility_rules IS 'Rules a user must pass, combined by offers.eligibility_logic.';
COMMENT ON COLUMN offer_eligibility_rules.position IS 'Order in which people see the rules; it decides nothing.';

-- Read models, written by the segmenter from the topics users and topups.
CREATE TABLE users (
    id uuid CONSTRAINT users_pkey PRIMARY KEY,
    created_at timestamptz,
    roles text [] NOT NULL DEFAULT '{}',
    event_at timestamptz,
    event_id uuid
);
COMMENT ON TABLE users IS
'Every user any event named. The row is the lock under which the user''s topups and memberships change.';
COMMENT ON COLUMN users.created_at IS 'registered_at of the newest event; null while only topups named the user.';
COMMENT ON COLUMN users.event_at IS 'occurred_at of the newest event applied; older ones are ignored.';

CREATE TABLE topup_requests (
    id uuid CONSTRAINT topup_requests_pkey PRIMARY KEY,
    user_id uuid NOT NULL,
    operator_id uuid NOT NULL,
    kind text NOT NULL DEFAULT 'topup' CONSTRAINT topup_requests_kind_known CHECK (kind IN ('topup', 'purchase')),
    amount numeric(12, 2) NOT NULL CONSTRAINT topup_requests_amount_positive CHECK (amount >= 0),
    status text NOT NULL
    CONSTRAINT topup_requests_status_known CHECK (status IN ('succeeded', 'failed', 'reversed')),
    occurred_at timestamptz NOT NULL,
    event_id uuid NOT NULL DEFAULT gen_random_uuid()
);
COMMENT ON TABLE topup_requests IS 'One row a topup or other paid transaction, as its newest event says.';
-- Serves both eligibility engines: one user's counted transactions, newest first, from the index alone.
CREATE INDEX topup_requests_history ON topup_requests (user_id, occurred_at DESC)
INCLUDE (operator_id, kind, amount) WHERE status = 'succeeded';

CREATE TABLE offer_segment_members (
    offer_id uuid NOT NULL CONSTRAINT offer_segment_members_offer_fk REFERENCES offers ON DELETE CASCADE,
    user_id uuid NOT NULL,
    valid_until timestamptz NOT NULL,
    rules_version integer NOT NULL DEFAULT 1,
    entered_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT offer_segment_members_pkey PRIMARY KEY (offer_id, user_id)
);
COMMENT ON TABLE offer_segment_members IS
'Who is eligible for which active or paused offer with rules, and until when (infinity: no lapse).';
-- Serves the segmenter: the memberships of a batch's users.
CREATE INDEX offer_segment_members_user ON offer_segment_members (user_id);
-- Serves the lapse timer: the nearest valid_until.
CREATE INDEX offer_segment_members_lapse ON offer_segment_members (valid_until) WHERE valid_until < 'infinity';

CREATE TABLE offer_segment_rebuilds (
    offer_id uuid CONSTRAINT offer_segment_rebuilds_pkey PRIMARY KEY
    CONSTRAINT offer_segment_rebuilds_offer_fk REFERENCES offers ON DELETE CASCADE,
    rules_version integer NOT NULL,
    live boolean NOT NULL,
    after_user_id uuid,
    users_done bigint NOT NULL DEFAULT 0,
    users_total bigint NOT NULL DEFAULT 0,
    entered bigint NOT NULL DEFAULT 0,
    members_left bigint NOT NULL DEFAULT 0,
    requested_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
COMMENT ON TABLE offer_segment_rebuilds IS 'Progress of the newest recomputation of each offer''s members.';
COMMENT ON COLUMN offer_segment_rebuilds.live IS 'Whether the offer keeps members: active or paused, with rules.';
COMMENT ON COLUMN offer_segment_rebuilds.after_user_id IS 'Users up to this id are done; null: none yet.';
CREATE INDEX offer_segment_rebuilds_open ON offer_segment_rebuilds (requested_at) WHERE finished_at IS NULL;

-- Redemptions and the decisions they came from.
CREATE TABLE offer_redemptions (
    id uuid CONSTRAINT offer_redemptions_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
    request_id uuid NOT NULL CONSTRAINT offer_redemptions_request_unique UNIQUE,
    offer_id uuid NOT NULL CONSTRAINT offer_redemptions_offer_fk REFERENCES offers,
    user_id uuid NOT NULL,
    operator_product_id uuid,
    supplier_product_mapping_id uuid,
    quantity integer NOT NULL DEFAULT 1 CONSTRAINT offer_redemptions_quantity_positive CHECK (quantity > 0),
    price_paid numeric(12, 2) NOT NULL CONSTRAINT offer_redemptions_price_paid_positive CHECK (price_paid >= 0),
    discount_amount numeric(12, 2) NOT NULL
    CONSTRAINT offer_redemptions_discount_amount_positive CHECK (discount_amount >= 0),
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE offer_redemptions IS 'Uses of offers. A cancelled one keeps its row, with revoked_at.';
-- Serves the per-user limit: one user's standing uses of one offer.
CREATE INDEX offer_redemptions_standing ON offer_redemptions (offer_id, user_id) WHERE revoked_at IS NULL;

CREATE TABLE redemption_decisions (
    request_id uuid CONSTRAINT redemption_decisions_pkey PRIMARY KEY,
    content_hash bytea NOT NULL,
    command text NOT NULL CONSTRAINT redemption_decisions_command_known CHECK (command IN ('redeem', 'revoke')),
    status text NOT NULL CONSTRAINT redemption_decisions_status_known CHECK (status IN ('accepted', 'rejected')),
    reason text,
    offer_id uuid,
    user_id uuid,
    redemption_id uuid,
    request jsonb NOT NULL,
    reply text NOT NULL,
    decided_at timestamptz NOT NULL,
    CONSTRAINT redemption_decisions_reason_iff_rejected CHECK ((status = 'rejected') = (reason IS NOT NULL))
);
COMMENT ON TABLE redemption_decisions IS 'What was answered to each request; a repeat is answered from here.';
COMMENT ON COLUMN redemption_decisions.content_hash IS 'SHA-256 of what was asked; the same id with another hash is a conflict.';
COMMENT ON COLUMN redemption_decisions.reply IS 'The reply exactly as sent.';
CREATE INDEX redemption_decisions_decided_at ON redemption_decisions (decided_at);

-- Messages that must follow a committed change; whoever wrote them publishes and deletes them.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT outbox_pkey PRIMARY KEY,
    topic text NOT NULL,
    message_key uuid NOT NULL,
    value text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE outbox IS 'Events that belong to a committed change and are not yet on Kafka.';

-- The audit trail, written by the audit service alone.
CREATE TABLE audit_log (
    event_id uuid CONSTRAINT audit_log_pkey PRIMARY KEY,
    chain integer NOT NULL,
    sequence bigint NOT NULL,
    type text NOT NULL,
    actor text NOT NULL,
    entity_type text NOT NULL,
    entity_id uuid NOT NULL,
    offer_id uuid,
    user_id uuid,
    occurred_at timestamptz NOT NULL,
    data jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    hash bytea NOT NULL,
    CONSTRAINT audit_log_chain_sequence_unique UNIQUE (chain, sequence)
);
COMMENT ON TABLE audit_log IS 'Every audit event once, in one hash chain a partition of audit.events.';
COMMENT ON COLUMN audit_log.chain IS 'The Kafka partition the event came from.';
COMMENT ON COLUMN audit_log.hash IS 'SHA-256 over the hash before it in the chain and this row''s content.';
CREATE INDEX audit_log_occurred_at ON audit_log (occurred_at, event_id);
CREATE INDEX audit_log_entity ON audit_log (entity_id, occurred_at, event_id);
CREATE INDEX audit_log_offer ON audit_log (offer_id, occurred_at, event_id) WHERE offer_id IS NOT NULL;
CREATE INDEX audit_log_user ON audit_log (user_id, occurred_at, event_id) WHERE user_id IS NOT NULL;

CREATE TABLE audit_chains (
    chain integer CONSTRAINT audit_chains_pkey PRIMARY KEY,
    sequence bigint NOT NULL,
    hash bytea NOT NULL
);
COMMENT ON TABLE audit_chains IS 'The last link of each chain; its row is the lock under which the chain grows.';

-- Who may call the HTTP APIs.
CREATE TABLE api_tokens (
    id uuid CONSTRAINT api_tokens_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    role text NOT NULL CONSTRAINT api_tokens_role_known CHECK (role IN ('viewer', 'editor', 'admin')),
    token_hash bytea NOT NULL CONSTRAINT api_tokens_hash_unique UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
COMMENT ON TABLE api_tokens IS 'Bearer tokens of the admin and audit APIs; only their SHA-256 is kept.';
