"""What others who deliver messages are sent, and what they say back.

Described in a file: `provider_description`, its `provider_request` and `provider_answer`.
Back from them: `receipts` in one vocabulary, from `provider_receipts` (webhooks) and `bounce_messages` (mail).
Of a mail server: `mail_log`, what it took and what was returned.
Rules of others: `standard_webhooks` (signatures), `sms_segments` (what a text counts as).
"""
