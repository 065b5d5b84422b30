"""Saved questions, the mail digest and acquisition costs as rows.

`saved_questions` with versions and dashboard, in `question_tables`; `digests`, in `digest_tables`; `cost_tables`.
"""
