"""Pages of customers: list, one customer, watch list, tasks.

List: `customer_pages`, with `customer_options` to filter by; `customer_actions` for several at once, `customer_file`.
One customer: `customer_card_pages`, in the words of `portrait_texts` and `reason_texts`; `reveal_pages` shows contacts
for one look, `customer_identity_pages` corrects who is one customer.
Work: `watch_list_pages`, `task_pages`, `task_effect_pages`.
"""
