"""Ways to customers, each described in one file; to add one: its file, and its description in CHANNELS.

Settings, forms, examples, checks, policy, vault, receipts, subscriptions and the register of processing read the list.
One with a provider_example is complete by that. One with a protocol of its own also has a file in engage/channels/, and
its form of settings in storage/outreach/.
"""

from collections.abc import Mapping

from patron.schema.outreach.channels.channel_description import AddressKind, ChannelDescription
from patron.schema.outreach.channels.email import EMAIL
from patron.schema.outreach.channels.file import FILE
from patron.schema.outreach.channels.sms import SMS
from patron.schema.outreach.channels.web_push import WEB_PUSH
from patron.schema.outreach.channels.webhook import WEBHOOK
from patron.schema.outreach.channels.wechat import WECHAT

CHANNELS: Mapping[str, ChannelDescription] = {
    channel.name: channel for channel in (EMAIL, SMS, WECHAT, WEBHOOK, WEB_PUSH, FILE)
}
"""Every channel by its name, in the order that people see them in."""
CONFIGURABLE = tuple(name for name, channel in CHANNELS.items() if channel.example)
"""Channels with a section [channels.NAME] in patron.toml."""
DESCRIBED = tuple(name for name, channel in CHANNELS.items() if channel.provider_example)
"""Channels whose provider a file describes."""
ADDRESS_KINDS: tuple[AddressKind, ...] = tuple(dict.fromkeys(channel.address_kind for channel in CHANNELS.values()))
"""Everything that people are reached by."""
