"""The command line of data: start, import, run, operate, webhooks.

Start: `start_commands` is `patron demo`, `patron init` and `patron simulate`.
Data: `data_commands` is `patron import`, `patron mappings`, `patron trace` and `patron sql`; `render_import` prints.
Run: `run_commands` is `patron run`, printed by `run_summary`.
Operate: `operate_commands` is `patron serve`, `patron doctor`, `patron backup` and `patron restore`;
`webhook_commands` is `patron webhooks`.
Processes that `patron serve` starts: `job_process` for one job, `due_webhooks`.
"""
