"""What people ask about data: what arrived, how good it is, which runs there were, any SELECT.

Arrival: `ingestion_status` (counters, dead letters), `data_quality` (checks, imports, drift), `products` by id,
`later_refunds`, known only after the cutoff.
Runs: `run_history`, each with its findings, and two compared.
SQL: `sql_query` over the lake; `query_check` says what may run, with `query_functions`; `query_worker` runs those of
the console apart, `query_limits` bounds them.
Workspace: `setup_steps`, `workspace_settings`, `webhook_log`.
"""
