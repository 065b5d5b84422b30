"""Where data lives: lake, operational store, engine, fitted models, and the shop (workspace) that holds them.

`shop` is what every command and answer is passed: settings, policy, lake and store of one `workspace`.
Data: `lake` (Delta tables), `store` (rows that need transactions), `runs` (snapshots of a completed one), `models`.
SQL: `engine` is its portable words; `duck_engine` on one machine, `spark_engine` on a cluster.
Key: `master_key`, outside the workspace.
Settings: `settings` (where we run), `settings_problems`, `setting_path`, `toml_edit`.
Files: `durable_files`, `safe_csv`, `write_ahead_log` (of SQLite). What people send is read in a `sandbox`.
Saved things, their tables, settings and policy: `access`, `customers`, `data`, `insight`, `offers`, `outreach`,
`privacy`, `recommendations`, `segments`; `base_version` refuses the second of two edits. `profile_state`: which events
live profiles hold.
New workspaces: `defaults` (files that they copy), `migrations` (layout of the store).
"""
