"""Events that Patron's own loop adds to Segment's: order lines of files, the catalogue, messages, offers and ads."""

from typing import Annotated

from patron.schema.events.event_fields import (
    Amount,
    Brand,
    CampaignId,
    Category,
    Channel,
    ContractId,
    Coupon,
    Creative,
    Currency,
    DecisionId,
    Department,
    Discount,
    Event,
    ImageUrl,
    IsSoFar,
    IsUndated,
    ListId,
    Number,
    OrderId,
    Position,
    Price,
    ProductId,
    ProductName,
    PromotionId,
    Quantity,
    Sku,
    Text,
    Url,
    Value,
    Variant,
    described,
)


class OrderLineCompleted(Event, frozen=True, kw_only=True):
    """One line of an order: paid is price times quantity less discount."""

    event = "Order Line Completed"
    order_id: OrderId = None
    product_id: ProductId = None
    sku: Sku = None
    name: ProductName = None
    department: Department = None
    category: Category = None
    brand: Brand = None
    variant: Variant = None
    price: Price = None
    quantity: Quantity = None
    discount: Discount = None
    coupon: Coupon = None
    currency: Currency = None
    channel: Channel = None


class OrderLineRefunded(OrderLineCompleted, frozen=True, kw_only=True):
    """One returned line: a quantity of 0 or more and a price above zero, booked below zero."""

    event = "Order Line Refunded"
    is_refund = True
    is_so_far: IsSoFar = None
    is_undated: IsUndated = None


class ProductUpdated(Event, frozen=True, kw_only=True):
    """A row of the shop's catalogue; nobody did it."""

    event = "Product Updated"
    required = ("product_id",)
    product_id: ProductId = None
    sku: Sku = None
    name: ProductName = None
    department: Department = None
    category: Category = None
    brand: Brand = None
    variant: Variant = None
    price: Price = None
    currency: Currency = None
    url: Url = None
    image_url: ImageUrl = None
    description: Annotated[Text, described("what the product is, in words")] = None
    style_id: Annotated[Text, described("what its variants have in common, such as a model in several sizes")] = None
    cost: Annotated[Amount, described("what one unit costs the shop, in units of the currency")] = None
    stock: Annotated[Number, described("units in stock; below 1 it is not recommended")] = None
    is_consumable: Annotated[Text, described("true when it is used up and bought again")] = None
    is_blocked: Annotated[Text, described("true when it is never recommended")] = None


class PromotionScheduled(Event, frozen=True, kw_only=True):
    """A product will be on promotion; nobody did it. Sent again with its promotion_id it replaces what was planned.

    With `ends_at` equal to `starts_at` it is called off.
    """

    event = "Promotion Scheduled"
    required = ("product_id", "starts_at", "ends_at")
    product_id: ProductId = None
    sku: Sku = None
    promotion_id: PromotionId = None
    name: Annotated[Text, described("name of the promotion")] = None
    kind: Annotated[Text, described("what it is, such as leaflet, display or price")] = None
    starts_at: Annotated[
        Text, described("when it starts, ISO 8601; a date alone is midnight in the shop, a time without a zone UTC")
    ] = None
    ends_at: Annotated[Text, described("when it is over, written likewise")] = None
    percent_off: Annotated[Number, described("how much of the price is taken off, 0 to 100")] = None
    price: Price = None
    sale_price: Annotated[
        Amount, described("price of one unit during the promotion; with `price` it says what is taken off")
    ] = None
    currency: Currency = None


class CustomerRegistered(Event, frozen=True, kw_only=True):
    """A visitor became a registered customer."""

    event = "Customer Registered"
    channel: Channel = None
    campaign_id: CampaignId = None


class CustomerReferred(Event, frozen=True, kw_only=True):
    """The customer brought a new one."""

    event = "Customer Referred"
    required = ("referred_user_id",)
    referred_user_id: Annotated[
        Text, described("the shop's id of the new customer; kept as a token only", column="referred_user_id")
    ] = None
    channel: Channel = None


class ContractStarted(Event, frozen=True, kw_only=True):
    """A contract with a declared end began, or was renewed: a renewal has the same contract_id and a later end."""

    event = "Contract Started"
    required = ("contract_id", "ends_at")
    contract_id: ContractId = None
    ends_at: Annotated[
        Text,
        described("when the term ends, ISO 8601; a date alone is midnight in the shop, a time without a zone UTC"),
    ] = None
    price: Annotated[
        Amount, described("price of the term, in units of the currency; no revenue", column="price_cents")
    ] = None
    currency: Currency = None


class ContractCancelled(Event, frozen=True, kw_only=True):
    """The customer said that the contract will not be renewed; it runs until its end."""

    event = "Contract Cancelled"
    required = ("contract_id",)
    contract_id: ContractId = None


class IdentityUnlinked(Event, frozen=True, kw_only=True):
    """The user id, or without one the visitor id, is a customer of its own again: what linked it until now is void."""

    event = "Identity Unlinked"


class ConsentGiven(Event, frozen=True, kw_only=True):
    """The customer said yes to a purpose; with a public write key it counts for the device, not for the user."""

    event = "Consent Given"
    required = ("purpose",)
    purpose: Annotated[Text, described("what for: marketing, analytics, or another of the shop's")] = None
    basis: Annotated[Text, described("on what ground: consent (when missing), contract, legitimate_interest ...")] = (
        None
    )
    wording: Annotated[Text, described("the exact words that were agreed to", vault="texts")] = None
    wording_version: Annotated[Text, described("version of these words")] = None
    policy_version: Annotated[Text, described("version of the privacy policy that was shown")] = None
    locale: Annotated[Text, described("language of the request for consent")] = None
    channel: Channel = None


class ConsentWithdrawn(ConsentGiven, frozen=True, kw_only=True):
    """The customer said no to a purpose, or withdrew a yes."""

    event = "Consent Withdrawn"


class MessageSent(Event, frozen=True, kw_only=True):
    """We wrote to the customer."""

    event = "Message Sent"
    message_id: Annotated[Text, described("the message")] = None
    campaign_id: CampaignId = None
    decision_id: DecisionId = None
    campaign_type: Annotated[Text, described("type of the campaign, such as newsletter or voucher")] = None
    valid_days: Annotated[Number, described("days for which its coupon or offer is valid")] = None
    channel: Channel = None
    coupon: Coupon = None


class MessageOpened(MessageSent, frozen=True, kw_only=True):
    """The customer opened a message of ours."""

    event = "Message Opened"


class MessageClicked(MessageSent, frozen=True, kw_only=True):
    """The customer clicked in a message of ours."""

    event = "Message Clicked"
    url: Url = None


class MessageDelivered(MessageSent, frozen=True, kw_only=True):
    """A message of ours reached the customer's mailbox, as the provider says."""

    event = "Message Delivered"


class MessageBounced(MessageSent, frozen=True, kw_only=True):
    """A message of ours came back."""

    event = "Message Bounced"
    is_permanent: Annotated[Text, described("true when the address does not exist")] = None


class MessageComplained(MessageSent, frozen=True, kw_only=True):
    """The customer called a message of ours unwanted, at their provider."""

    event = "Message Complained"


class MessageUnsubscribed(MessageSent, frozen=True, kw_only=True):
    """The customer wants no more messages like one of ours."""

    event = "Message Unsubscribed"


class OfferAssigned(Event, frozen=True, kw_only=True):
    """A decision gave the customer an offer."""

    event = "Offer Assigned"
    offer_id: Annotated[Text, described("the offer")] = None
    decision_id: DecisionId = None
    campaign_id: CampaignId = None
    channel: Channel = None
    coupon: Coupon = None
    discount: Discount = None
    currency: Currency = None
    discount_share: Annotated[Number, described("share of the price taken off, 0 to 1")] = None
    valid_days: Annotated[Number, described("days for which the offer is valid")] = None


class RecommendationShown(Event, frozen=True, kw_only=True):
    """The customer saw a product we recommended."""

    event = "Recommendation Shown"
    product_id: ProductId = None
    decision_id: DecisionId = None
    position: Position = None
    propensity: Annotated[Number, described("probability with which the product was chosen, 0 to 1")] = None
    list_id: ListId = None
    scenario: Annotated[Text, described("where the list stood: home, product, cart ...")] = None
    expected_clicks_per_1000: Annotated[
        Number, described("clicks that what speaks for it would bring at this place, in 1,000 lists")
    ] = None
    interest_personal: Annotated[Number, described("how much the customer's history spoke for it, 0 to 1")] = None
    interest_session: Annotated[Number, described("how much the visit spoke for it, 0 to 1")] = None
    interest_context: Annotated[Number, described("how much the page or cart spoke for it, 0 to 1")] = None
    interest_taste: Annotated[Number, described("how much the visitor's interest in its category spoke for it")] = None
    interest_popular: Annotated[Number, described("its share of the best seller's purchases, 0 to 1")] = None
    channel: Channel = None


class RecommendationClicked(RecommendationShown, frozen=True, kw_only=True):
    """The customer clicked a product we recommended."""

    event = "Recommendation Clicked"


class RecommendationHidden(RecommendationShown, frozen=True, kw_only=True):
    """The customer does not want to see a product again."""

    event = "Recommendation Hidden"
    required = ("product_id",)


class AdShown(Event, frozen=True, kw_only=True):
    """The customer saw an ad of ours elsewhere."""

    event = "Ad Shown"
    campaign_id: CampaignId = None
    creative: Creative = None
    channel: Channel = None
    value: Value = None
    currency: Currency = None


class AdClicked(AdShown, frozen=True, kw_only=True):
    """The customer clicked an ad of ours elsewhere."""

    event = "Ad Clicked"
