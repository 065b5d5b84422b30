"""Messages as files, for shops with a mail system of their own."""

from patron.schema.outreach.channels.channel_description import EMAIL_ADDRESS, ChannelDescription

FILE = ChannelDescription("file", "files", address_kind=EMAIL_ADDRESS, arrives_by="email")
