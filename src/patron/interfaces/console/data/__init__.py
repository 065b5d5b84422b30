"""Pages of data: quality and ingestion, uploads, runs, webhooks.

`data_pages`, `run_pages`, and in Settings `webhook_pages`.
"""
