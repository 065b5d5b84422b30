"""Notifications in browsers (Web Push)."""

from patron.schema.outreach.channels.channel_description import AddressKind, ChannelDescription

SUBSCRIPTION = AddressKind(
    "web_push_subscription", "subscription", vault_letter="b", is_trait=True, identifying_key="endpoint"
)
"""Subscription of a browser, the JSON text that its Push API gives: the same browser may send the rest of it anew."""
EXAMPLE = """\
# Add this to patron.toml.
# Then: patron channels push-key          makes push.pem, and prints the public key and script for your page
#       patron channels list              says what is missing
#       patron channels test "$(cat subscription.json)" --channel web_push
[channels.web_push]
key_file = "push.pem"
contact = "mailto:it@shop.example"      # whom a browser's push service writes to when something is wrong
click_url = "https://shop.example/"     # page that opens when a message has no link
# time_to_live_seconds = 86400          # how long a message waits for a device that is off
"""
WEB_PUSH = ChannelDescription(
    "web_push", "web push", address_kind=SUBSCRIPTION, example=EXAMPLE, signature="signed", has_topic_choices=True
)
