"""What people order: import, forget, export, back up, examine; one function each, called by every interface.

A file is named for its order and lies in the room that it is about:
`data`: what comes in, runs, and the workspace itself. `customers`: daily work, and who is one customer.
`segments`: rules and members. `offers`: the policy, and offers withdrawn. `models`: which one counts, and exports.
`outreach`: campaigns, journeys, audiences and their messages. `recommendations`: recommenders compared.
`insight`: questions, acquisition costs, the mail digest. `privacy`: requests of people, export, erasure.
`access`: users, sign-in, keys, and who took a step.
"""
