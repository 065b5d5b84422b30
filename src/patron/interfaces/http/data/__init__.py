"""The API of data: webhooks, and the log of deliveries.

`webhook_routes`. Runs are in `insight.work_routes`, imports in `models.ledger_routes`, quality in `http.api_routes`.
"""
