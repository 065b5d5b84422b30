"""The API of customers: list, one customer, contacts, tasks, watch list.

Routes: `customer_routes`, `lookup_routes` (by an id of the shop's), `contact_routes`, `task_routes`; the list's address
is read by `customer_filters`.
Shared with pages: `customer_view`, `task_view`, `watch_list_view`.
"""
