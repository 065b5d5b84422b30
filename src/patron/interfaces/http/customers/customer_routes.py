"""Customers for programs: the list, one customer, who they are, what staff do about them, and the watch list."""

from patron.answers.customers.customer_marks import show_customer_work
from patron.answers.customers.customer_pages import list_customers, list_timeline, show_identity
from patron.answers.customers.task_list import show_tasks
from patron.answers.customers.task_results import show_task_results
from patron.answers.customers.task_suggestions import task_advice
from patron.answers.customers.watch_list_page import show_watch_list
from patron.commands.customers.customer_contacts import show_contacts, show_contacts_in_clear
from patron.interfaces.http.customers.customer_view import customer_now
from patron.interfaces.http.operation_routes import operation_routes
from patron.service.customer_lookup import lookup_customer
from patron.service.customer_search import suggest_customers

router = operation_routes(
    lookup_customer,
    suggest_customers,
    show_contacts,
    show_contacts_in_clear,
    list_customers,
    customer_now,
    list_timeline,
    show_customer_work,
    show_identity,
    show_watch_list,
    show_tasks,
    show_task_results,
    task_advice,
)
