"""Messages, journeys and channels: codes that rows hold and pages explain.

`message_states` of a message, and why one is not sent; `journey_states` of a customer, and why they left.
`channels` describes each way to people.
"""
