"""What people ask about customers: who they are, what they are worth, who is at risk, what staff do about it.

List: `customer_list` filters and pages the `customer_index`, which holds every customer in memory, as `list_access`
shows it to a reader; `customer_filters` are those of an address, `customer_pages` have cursors.
Card: `customer_profile`, `customer_timeline`, `value_parts`, `identity_preview` (which ids are one customer);
forecasts beyond scores: `category_needs`, `contract_forecasts`, `response_forecasts`.
Work: `watch_list` (who is at risk), `watch_list_page` (what is done), `customer_marks` (tags, owners, notes, snoozes),
`task_list`, `task_results`.
Effect of tasks: `task_effects`, as a line of the experiments `task_experiment`, and what follows `task_suggestions`.
People without an order: `prospects`.
"""
