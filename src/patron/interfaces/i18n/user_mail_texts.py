"""Letters to users: an invitation, and links for a new password and for the digest, in the reader's language."""

from patron.commands.access.user_mail import Compose, User, UserMail
from patron.interfaces.i18n.translations import choose_locale, words
from patron.storage.shop import Shop


def invitation_mail(shop: Shop, address: str) -> Compose:
    """The letter that invites somebody; `address` is how the link begins."""
    return _mail_composer(shop, address, "invitation", hours=f"{shop.settings.access.invitation_hours:g}")


def reset_mail(shop: Shop, address: str) -> Compose:
    """The letter with a link for a new password."""
    return _mail_composer(shop, address, "reset")


def digest_link_mail(shop: Shop, address: str) -> Compose:
    """The letter with the link that confirms a mailbox for the digest."""
    return _mail_composer(shop, address, "digest")


def _mail_composer(shop: Shop, address: str, kind: str, **values: str) -> Compose:
    name = shop.settings.shop.name or "Patron"

    def compose(user: User, path: str) -> UserMail:
        texts = words(choose_locale(user.locale or None, shop.settings.shop.locale))
        text = texts(f"mail.{kind}.text", name=user.name, shop=name, link=f"{address}{path}", **values)
        return UserMail(texts(f"mail.{kind}.subject", shop=name), text)

    return compose
