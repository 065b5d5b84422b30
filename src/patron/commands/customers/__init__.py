"""What people order about customers: daily work with them, and who is one customer.

Work: `customer_work` changes tags, owners, notes, tasks and snoozes; `create_task_batch` gives tasks to several
customers and holds some out by lot.
Contacts: `customer_contacts` masks who customers are and reveals one at a time; `reindex_contacts` rebuilds the cards.
Identity: `resolve_person` finds every id of a person; `correct_identity` merges two customers or takes an id out;
`unlink_identity` does the latter.
Events: `person_events` writes what Patron itself has to say about a person, through collect.
"""
