"""Sections of patron.toml that work on this machine, one for each channel, with how to try it."""

from collections.abc import Mapping

from patron.schema.errors import ChannelUnavailable

EMAIL = """\
# Add this to patron.toml. It sends to a server on this machine that prints what it takes:
#     python -m aiosmtpd -n -c aiosmtpd.handlers.Debugging stdout -l 127.0.0.1:2525
# Then: patron channels key          makes dkim.pem, and prints the DNS record of your domain
#       patron channels list         says what is missing
#       patron channels test you@shop.example
[channels.email]
host = "127.0.0.1"                    # your provider's SMTP server, such as "smtp.shop.example"
port = 2525                           # 587 with starttls, 465 with tls
security = "none"                     # "starttls" or "tls" with every server but one on this machine
from = "shop@shop.example"
public_url = "http://127.0.0.1:8321"  # this server for customers: links to unsubscribe lead there
dkim_selector = "patron"
dkim_key_file = "dkim.pem"
# user = "shop"                       # the password is in password_file, or in the variable PATRON_EMAIL_PASSWORD
# password_file = "/etc/patron/smtp-password"
# bounce_domain = "bounces.shop.example"   # return path of each message, so that bounces are surely known
# messages_per_second = 50            # most that your provider takes
"""
WEBHOOK = """\
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
WEB_PUSH = """\
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
SMS = """\
# Add this to patron.toml. It sends to a server on this machine: docs/how-to/send-sms-and-wechat.md has one of 20 lines.
# Then: patron channels provider-example sms > sms.toml        describes the provider; put it into the workspace
#       patron channels list                                   says what is missing
#       patron channels test +4930123456 --channel sms
[channels.sms]
provider_file = "sms.toml"
local_hosts = ["127.0.0.1"]             # hosts of your own network; all others must have public addresses
# messages_per_second = 10
[channels.sms.secret_files]
API_KEY = "sms-key"                     # or the variable PATRON_SMS_API_KEY
"""
WECHAT = """\
# Add this to patron.toml. It sends to a server on this machine: docs/how-to/send-sms-and-wechat.md has one of 20 lines.
# Then: patron channels provider-example wechat > wechat.toml  describes the provider; put it into the workspace
#       patron channels list                                   says what is missing
#       patron channels test oABC-1234_x --channel wechat
[channels.wechat]
provider_file = "wechat.toml"
local_hosts = ["127.0.0.1"]             # not for WeChat itself
[channels.wechat.secret_files]
APP_ID = "wechat-app-id"                # or the variables PATRON_WECHAT_APP_ID and PATRON_WECHAT_APP_SECRET
APP_SECRET = "wechat-app-secret"
"""
EXAMPLES: Mapping[str, str] = {"email": EMAIL, "webhook": WEBHOOK, "web_push": WEB_PUSH, "sms": SMS, "wechat": WECHAT}
"""Section of each channel that needs one."""


def example_section(channel: str = "email") -> str:
    """A section of patron.toml that works on this machine, and how to try it. Raises ChannelUnavailable."""
    if channel not in EXAMPLES:
        what = f"there is no example of a channel {channel!r}"
        raise ChannelUnavailable(what, where="channel", todo=f"There is one of {', '.join(EXAMPLES)}.")
    return EXAMPLES[channel]
