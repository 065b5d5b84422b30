"""Template messages to followers of the shop's WeChat account, by a provider that a file describes."""

from patron.schema.outreach.channels.channel_description import AddressKind, ChannelDescription

OPEN_ID = AddressKind(
    "wechat_open_id",
    "WeChat open id",
    vault_letter="w",
    is_trait=True,
    aliases=("wechat", "openid", "unionid"),
    pattern="[A-Za-z0-9_-]{6,128}",
)
"""Open id of a follower of the shop's account."""
EXAMPLE = """\
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
PROVIDER_EXAMPLE = """\
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
WECHAT = ChannelDescription(
    "wechat",
    "WeChat",
    address_kind=OPEN_ID,
    example=EXAMPLE,
    provider_example=PROVIDER_EXAMPLE,
    has_topic_choices=True,
)
