REVOKE SELECT ON offer_segment_rebuilds FROM offers_admin;
DROP INDEX redemption_decisions_decided_at;
DROP TABLE insight_progress;
DROP TABLE offer_member_counts;
DROP TABLE offer_decision_counts;
