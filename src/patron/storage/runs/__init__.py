"""Runs, and what is read of one: by its stages while it runs, by everybody once it is completed.

Runs: `runs` names one, `last_run` finds the last or an earlier one; `jobs` in the background, in `job_tables`.
Stages: `stage_view` shows a stage what it declares, over `pinned_tables`.
Readers: `snapshot` of a completed run, shared by `snapshot_cache`.
The past: `past_shop`, the shop as of an earlier run, with `past_facts`.
"""
