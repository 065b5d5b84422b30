"""Messages for a system of the shop's, which delivers them."""

from patron.schema.outreach.channels.channel_description import USER_ID, ChannelDescription

EXAMPLE = """\
# Add this to patron.toml. It sends to a receiver on this machine: docs/how-to/send-webhooks.md has one of 20 lines.
# Then: patron channels webhook-secret    makes webhook.secret, which the receiver needs, too
#       patron channels list              says what is missing
#       patron channels test 1042 --channel webhook        sends one message for a user id
[channels.webhook]
url = "http://127.0.0.1:9000/patron"    # https with every host but those of local_hosts
secret_file = "webhook.secret"          # or the variable PATRON_WEBHOOK_SECRET
local_hosts = ["127.0.0.1"]             # hosts of your own network; all others must have public addresses
# messages_per_second = 50
"""
WEBHOOK = ChannelDescription("webhook", "webhooks", address_kind=USER_ID, example=EXAMPLE, signature="signed")
