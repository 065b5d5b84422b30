"""What people order about channels: an example, a key, a check, one message to oneself.

Set up: `channel_examples` prints sections of patron.toml that work, `channel_keys` makes keys and secrets.
Try: `channel_checks` finds what is missing and sends a test.
"""
