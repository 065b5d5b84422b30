"""Tables of daily work, and what policy.toml says of tasks.

`console_tables` (tags, notes, tasks, requests, proposals, costs, questions); `customer_tags` as rules read them;
`task_policy`.
"""
