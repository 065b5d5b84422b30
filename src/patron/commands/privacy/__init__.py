"""What people order about personal data: requests of people, export, correction, erasure.

Desk: `privacy_requests` takes a request from its entry to its certificate.
Export: `export` writes everything that is known about one customer.
Correct: `correct_personal_data` sends an event, which the next run follows.
Erase: `forget` does it all, in the store itself and by `forget_lake`, `forget_models` and `forget_files`.
"""
