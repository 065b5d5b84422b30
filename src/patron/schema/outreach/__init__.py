"""Messages, journeys and channels: codes that rows hold and pages explain.

`message_states` of a message, and why one is not sent; `journey_states` of a customer, and why they left.
`draft_name` of a campaign or journey, as whoever asks for one gives it; `channels` describes each way to people.
"""
