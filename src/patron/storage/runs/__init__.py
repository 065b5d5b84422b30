"""Runs, and what is read of one: by its stages while it runs, by everybody once it is completed.

Runs: `runs` names one, `last_run` finds the last or an earlier one.
Background: `jobs`, in `job_tables`; `lost_jobs`, whose process is gone.
Stages: `stage_view` shows a stage what it declares, over `pinned_tables`.
Readers: `snapshot` of a completed run, shared by `snapshot_cache`; `answer_cache` has what was made of it.
The past: `past_shop`, the shop as of an earlier run, with `past_facts`.
"""
