"""The command line of customers: who is one customer, tasks of staff, lookalikes.

`identity_commands` is `patron identity`; `task_commands` is `patron tasks`, printed by `render_tasks`.
`render_lookalikes` prints what `patron lookalikes` finds.
"""
