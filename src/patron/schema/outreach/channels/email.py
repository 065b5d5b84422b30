"""E-mail by SMTP."""

from patron.schema.outreach.channels.channel_description import EMAIL_ADDRESS, ChannelDescription

EXAMPLE = """\
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
EMAIL = ChannelDescription(
    "email", "e-mail", address_kind=EMAIL_ADDRESS, example=EXAMPLE, signature="signed by DKIM", has_topic_choices=True
)
