"""Text messages to telephones, by a provider that a file describes."""

from patron.schema.outreach.channels.channel_description import PHONE_NUMBER, ChannelDescription

EXAMPLE = """\
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
PROVIDER_EXAMPLE = """\
# sms.toml: describes a provider of text messages. Put it into the workspace, and name it in patron.toml:
# `patron channels --example --channel sms` prints the section for it.
# Names in braces are filled in, one value each: {recipient} (+4930123456), {recipient_digits}, {text},
# {recipient_name}, {unsubscribe_url}, {message_id}, {timestamp}, {nonce}, {secret.NAME}, {parameters.NAME} (a line
# `NAME: ...` of the text), {parameters_json} (all of them).
country_code = "49"                        # of numbers without one: 030 123456 is +49 30 123456
price_per_segment = 0.07                   # in the shop's currency
is_idempotent = true                       # the provider takes an Idempotency-Key once: a lost answer is tried again

[request]
url = "http://127.0.0.1:8400/messages"     # https everywhere else
format = "json"                            # or "form"

[request.headers]
Authorization = "Bearer {secret.API_KEY}"  # or user = "..." and password = "{secret.NAME}" in [request]
Idempotency-Key = "{message_id}"

[request.body]
from = "Shop"
to = "{recipient}"
text = "{text}"
reference = "{message_id}"

[answer]
success_status = [200, 201, 202]
code_field = "code"
no_such_address = ["unknown_number"]       # the number is sent nothing more
rejected = ["text_refused"]
deferred = ["too_fast"]
unavailable = ["no_credit"]                # sending stops
id_field = "id"

[receipts]                                 # posted as JSON to /api/receipts?provider=sms with a secret key
message_id_field = "reference"
state_field = "state"
time_field = "at"
states = { delivered = "delivered", failed = "bounced" }
code_field = "code"
no_such_address = ["unknown_number"]

# Providers that want a signature:
# [signature]
# secret = "API_SECRET"
# text = "{method}&{path}&{query}&{body_sha256}"   # query and form are sorted by name, percent-encoded
# encoding = "base64"                      # or "hex"
# header = "X-Signature"                   # or query = "Signature"
"""
SMS = ChannelDescription(
    "sms",
    "SMS",
    address_kind=PHONE_NUMBER,
    example=EXAMPLE,
    provider_example=PROVIDER_EXAMPLE,
    has_topic_choices=True,
    has_segments=True,
)
