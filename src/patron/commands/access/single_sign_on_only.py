"""Who signs in at the issuer of the single sign-on, and in no other way."""

import sqlalchemy as sa

from patron.govern.access.user_identities import has_identity
from patron.schema.errors import AccessProblem
from patron.schema.sentences import Sentence
from patron.storage.shop import Shop

ISSUER_ONLY = Sentence("issuer_only", "this user signs in through single sign-on only")
USE_ITS_BUTTON = Sentence("use_its_button", "Use the button for single sign-on.")


def signs_in_at_issuer_only(shop: Shop, connection: sa.Connection, user_id: str) -> bool:
    """Whether neither password nor passkey of a user counts, as [oidc] has it."""
    settings = shop.settings.oidc
    is_bound = settings.is_configured and settings.is_only_way
    return is_bound and has_identity(connection, user_id, settings.issuer)


def require_local_sign_in(shop: Shop, connection: sa.Connection, user_id: str) -> None:
    """Refuse password or passkey of somebody who signs in at the issuer only. Raises AccessProblem (403)."""
    if signs_in_at_issuer_only(shop, connection, user_id):
        raise AccessProblem("sso_only", ISSUER_ONLY, status=403, todo=USE_ITS_BUTTON)
