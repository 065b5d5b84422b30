"""Uploads, and webhooks as rows, their tables and settings.

`webhooks` reads and writes endpoints, messages and deliveries; `webhook_tables`; `event_webhook_settings`.
`sealed_uploads` keeps files that people upload until they are imported.
"""
