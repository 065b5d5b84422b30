"""Saved questions and the mail digest as rows.

`saved_questions` with versions and dashboard; `digests`, in the tables of `digest_tables`.
"""
