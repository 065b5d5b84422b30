"""What people order about data: what comes in, the nightly run, and the workspace itself.

Start: `init_workspace` makes one; `demo` runs the whole loop; `simulate` writes a simulated shop into files,
`simulated_loop` runs one that responds; `dismiss_setup` takes a step off the set-up list.
Import: `import_files`; `uploaded_files` from the console; `built_in_mappings`, or a `column_mapping` chosen in a form;
`table_file` reads any table; `trace` follows one event.
Runs: `preview_run` in a copy, `schedule_runs` by the clock.
Examine: `doctor` asks `workspace_checks`, `doctor_lake` and `doctor_files`, each of which returns `findings`.
Safety: `backup` and restore; `accept_loss` where there is no backup.
Webhooks: `manage_webhooks`, `report_webhook_events` (what happened), `send_webhooks` (to whom).
"""
