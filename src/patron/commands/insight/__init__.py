"""What people order about insight: questions, acquisition costs, the mail digest.

`saved_questions` saves, pins and deletes questions of Explore.
`enter_acquisition_costs` takes what was spent on winning customers, for payback.
Digest: `digest_subscriptions` begins and ends them, `send_digests` sends one after a run.
"""
