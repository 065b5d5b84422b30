"""What customers did besides ordering, and what was shown or sent to them."""

from patron.storage.engine import sql_list
from patron.understand.facts.usable_events import Scope, has_flag, usable_events, with_customer

KINDS = {
    "Products Searched": "search",
    "Product List Viewed": "list_view",
    "Product List Filtered": "list_filter",
    "Product Viewed": "view",
    "Product Clicked": "click",
    "Product Shared": "share",
    "Promotion Viewed": "promotion_view",
    "Promotion Clicked": "promotion_click",
    "Product Added": "cart_add",
    "Wishlist Product Added to Cart": "cart_add",
    "Product Removed": "cart_remove",
    "Cart Viewed": "cart_view",
    "Cart Shared": "share",
    "Checkout Started": "checkout",
    "Checkout Step Viewed": "checkout",
    "Checkout Step Completed": "checkout",
    "Payment Info Entered": "checkout",
    "Product Added to Wishlist": "wishlist",
    "Product Removed from Wishlist": "wishlist_remove",
    "Product Reviewed": "review",
    "Coupon Applied": "coupon",
    "Coupon Entered": "coupon_try",
    "Coupon Denied": "coupon_try",
    "Coupon Removed": "coupon_try",
    "Message Sent": "message_sent",
    "Message Opened": "message_opened",
    "Message Clicked": "message_clicked",
    "Message Delivered": "message_delivered",
    "Message Bounced": "message_bounced",
    "Message Complained": "message_complained",
    "Message Unsubscribed": "message_unsubscribed",
    "Offer Assigned": "offer",
    "Recommendation Shown": "recommendation_shown",
    "Recommendation Clicked": "recommendation_clicked",
    "Recommendation Hidden": "recommendation_hidden",
    "Ad Shown": "ad_shown",
    "Ad Clicked": "ad_clicked",
    "Customer Referred": "referral",
    "Customer Registered": "registration",
    "Page": "page",
    "Screen": "page",
}
"""Event name to kind; events that are neither here nor orders, traits or catalogue are counted as not used."""

MESSAGES = ("Message Sent", "Offer Assigned")
"""Events of what the shop sends; they may name the type of the campaign, or the offer."""
DONE_TO_CUSTOMERS = (
    *("message_sent", "message_delivered", "message_bounced"),
    *("offer", "recommendation_shown", "ad_shown"),
)
"""Kinds that the shop does; they are no sign of life of a customer."""
AWAY_FROM_THE_SHOP = (
    *DONE_TO_CUSTOMERS,
    *("message_opened", "message_clicked", "message_complained", "message_unsubscribed", "ad_clicked", "referral"),
)
"""Kinds that make no visit by themselves."""


MESSAGE_TYPE = "json_extract_string(o.properties, '$.campaign_type'), json_extract_string(o.properties, '$.offer_id')"
VALID_DAYS = "try_cast(json_extract_string(o.properties, '$.valid_days') as double)"
OURS = "(e.name = 'Offer Assigned' and e.decision_id is not null)"
"""An offer that a decision of ours assigned."""


def interactions(scope: Scope) -> str:
    """One row per event of a kind above; the category is that of the event, else the newest of the product.

    Offers that decisions of ours assigned are left out: a run that is run again may have decided otherwise since, and
    `exposures` holds those that stand. What bots do says nothing about customers and is left out too.
    """
    kinds = " ".join(f"when '{name}' then '{kind}'" for name, kind in KINDS.items())
    columns = ("product_id", "category", "campaign_id", "decision_id", "coupon", "rating", "channel", "device")
    message = f"o.name in {sql_list(MESSAGES)}"
    interaction_events = usable_events(
        scope,
        *columns,
        "properties",
        "known_at as link_at",
        where=f"e.name in {sql_list(KINDS)} and not {OURS} and not {has_flag('bot')}",
    )
    kept = ("source", "event_id", "name", "occurred_at", "properties", *columns)
    return f"""
        select o.source, o.event_id, o.customer_id, o.is_identified, case o.name {kinds} end as kind, o.product_id,
            coalesce(o.category, p.category) as category, o.campaign_id, o.decision_id, o.coupon,
            case when {message} then coalesce({MESSAGE_TYPE}) end as message_type,
            case when {message} then {VALID_DAYS} end as valid_days, o.rating, o.channel, o.device, o.occurred_at,
            o.known_at, local_hour(o.occurred_at, {scope.zone}) as local_hour,
            local_day(o.occurred_at, {scope.zone}) as local_day
        from ({with_customer(interaction_events, *kept)}) o
        left join (select product_id, category from products where category is not null) p
            on p.product_id = o.product_id"""
