"""A workspace's folder: which one it is, what is where, who may write now.

Files: `workspace_files`, `layout` (its version), `run_files` (those that people touch, around a run).
Identity: `workspace_identity`, compared with store, inbox and key at every opening; `workspace_currency`.
Store: `workspace_store` makes, opens and upgrades it.
Locks: `workspace_lock` for the whole, `work_lock` for one piece of work.
"""
