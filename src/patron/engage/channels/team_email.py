"""E-mail to people of the shop's own team: invitations and links, and digests, which end by one click (RFC 8058)."""

from dataclasses import dataclass

from patron.engage.channels.channel import OutgoingMessage
from patron.engage.channels.email import MESSAGE_ID, EmailChannel
from patron.engage.channels.mime import Header, date_header, header_bytes, header_text, mailbox, message_bytes


@dataclass(frozen=True)
class TeamEmail(EmailChannel):
    """The same way to mailboxes, for letters that are no advertising."""

    one_click_url: str = ""
    """Where letters of this kind end; empty where there is nothing to end."""

    def content(self, message: OutgoingMessage, recipient: str) -> bytes:
        """The message as it is sent, signed. Raises ValueError for one that no header can hold."""
        at, settings = self.clock(), self.settings
        if not MESSAGE_ID.fullmatch(message.message_id):
            raise ValueError("the message has no valid id")
        headers: list[Header] = [
            ("From", mailbox(self.sender_name, settings.from_address)),
            ("To", mailbox(message.recipient_name, recipient)),
            ("Subject", header_text(message.subject)),
            ("Date", date_header(at)),
            ("Message-ID", f"<{message.message_id}@{settings.domain}>"),
            ("Auto-Submitted", "auto-generated"),
        ]
        if self.one_click_url:
            headers += [
                ("List-Unsubscribe", f"<{self.one_click_url}>"),
                ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ]
        headers, body = message_bytes(headers, message.text, message.html, f"=_{message.message_id}")
        if self.signer:
            headers = [self.signer.signature(headers, body, at), *headers]
        return header_bytes(headers) + b"\r\n" + body
