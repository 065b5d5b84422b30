"""Daily work with customers: its tables, and what policy.toml says of tasks.

`customer_tables` (tags, notes, tasks, owners, cards); `customer_tags` as rules read them; `task_policy`.
"""
