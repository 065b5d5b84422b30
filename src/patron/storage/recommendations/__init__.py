"""What lists of recommendations keep to, and what they are made from.

`recommendation_policy` of policy.toml; `recommendation_tables` of a run, read the same at night and live.
"""
