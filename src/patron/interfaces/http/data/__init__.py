"""The API of data: runs, imports, quality, webhooks.

`run_routes` (and work in the background), `import_routes`, `quality_routes`, `webhook_routes`.
"""
