"""Campaigns, journeys, audiences, channels: their files, rows, settings and policy.

Files that people write, each with its kind of draft: `campaign_file`, `journey_file`, `audience_file`.
Saved versions and steps of life of all three: `versioned_drafts`; `approved_terms`, what an approval is given for;
`pending_approvals`, what changed since; `audience_members`, what an ad platform has; `sending_hold`, why nothing is
sent.
Tables: `campaign_tables`. Counts: `outreach_counts` (messages, entries), `campaign_offers` (what was given away).
Settings of patron.toml: `channel_settings` (all), of sections that are a `channel_section` each: `email_settings`,
`http_channel_settings` (webhook, web push, receipts), `provider_settings` (sms and others that a file describes).
Sections of policy.toml: `message_policy` (quiet hours, caps, approval), `topic_policy`.
"""
