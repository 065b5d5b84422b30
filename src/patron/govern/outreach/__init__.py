"""What governs messages and lists: who must not be written to, proof of what was sent and shown.

`suppression_list` outlives the erasure of its addresses; `unsubscribe_tokens` stand in the links of messages.
`sent_messages` keeps what was sent, under the recipient's key; `list_signatures` proves that we made a list.
"""
