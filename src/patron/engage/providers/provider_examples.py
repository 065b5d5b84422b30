"""Descriptions of providers that work with a server on this machine, printed by `patron channels provider-example`."""

SMS_EXAMPLE = """\
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
WECHAT_EXAMPLE = """\
# wechat.toml: describes how template messages are sent. Put it into the workspace, and name it in patron.toml:
# `patron channels --example --channel wechat` prints the section for it.
# The text of a message has a line for each parameter, and the link to unsubscribe in one of them:
#     title: {{ customer.first_name | default: "Hello" }}
#     remark: {{ offer.name }}; no more: {{ unsubscribe_url }}
# Lines of any other form are left out.
# For WeChat itself the host is https://api.weixin.qq.com.
[request]
url = "http://127.0.0.1:8400/cgi-bin/message/template/send"

[request.query]
access_token = "{token}"

[request.body]
touser = "{recipient}"
template_id = "YOUR_TEMPLATE_ID"
client_msg_id = "{message_id}"

[request.body.data]
title = { value = "{parameters.title}" }
remark = { value = "{parameters.remark}" }

[token]                                    # fetched when needed, and again before it ends
method = "GET"
url = "http://127.0.0.1:8400/cgi-bin/token"
query = { grant_type = "client_credential", appid = "{secret.APP_ID}", secret = "{secret.APP_SECRET}" }
token_field = "access_token"
seconds_field = "expires_in"

[answer]
code_field = "errcode"
success_codes = [0]
token_expired = [40001, 40014, 42001]
no_such_address = [40003, 43004]           # no such open id; no longer a follower
rejected = [47003]
deferred = [-1, 45009]
unavailable = [40013, 40037, 40125]        # the app, the template or the secret is wrong
id_field = "msgid"
"""
PROVIDER_EXAMPLES = {"sms": SMS_EXAMPLE, "wechat": WECHAT_EXAMPLE}
