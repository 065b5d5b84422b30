"""What people order about models: which one counts, and what leaves the workspace.

Decide: `manage_models` rolls back, releases and approves; `verify_model` fits one again and compares every byte.
Export: `export_scores` under the shop's own ids, `export_model` in MLflow's format.
Season: `enter_season` takes what people expect of weeks to come.
Compare: `compare_table` compares learners on any file with a yes-or-no label.
"""
