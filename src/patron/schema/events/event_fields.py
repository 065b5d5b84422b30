"""Properties of events: each says what it means and where it goes.

That is a column of `events`, the vault, or (neither) the JSON of properties.
"""

from decimal import Decimal
from typing import Annotated, ClassVar

from msgspec import Meta, Struct


def described(meaning: str, *, column: str = "", vault: str = "") -> Meta:
    """Describe a property and name the column or the JSON of the vault it goes to."""
    return Meta(description=meaning, extra={"column": column, "vault": vault})


Text = str | None
Amount = Decimal | None
Number = float | None

ProductId = Annotated[Text, described("the shop's product number; the SKU where it is missing", column="product_id")]
Sku = Annotated[Text, described("stock keeping unit")]
ProductName = Annotated[Text, described("product name", column="product_name")]
Department = Annotated[Text, described("department, the level above category", column="department")]
Category = Annotated[Text, described("product category", column="category")]
Brand = Annotated[Text, described("brand", column="brand")]
Variant = Annotated[Text, described("variant, such as a colour or size")]
Price = Annotated[Amount, described("price of one unit, in units of the currency", column="price_cents")]
Quantity = Annotated[int | None, described("units, 0 or more", column="quantity")]
Coupon = Annotated[Text, described("coupon code", column="coupon")]
Position = Annotated[Number, described("position in the list, from 1")]
Url = Annotated[Text, described("address of the page; may name a person", vault="texts")]
ImageUrl = Annotated[Text, described("address of the product's picture")]
Currency = Annotated[Text, described("ISO 4217 code of the amounts; missing is the shop's own", column="currency")]
OrderId = Annotated[Text, described("the shop's order number", column="order_id")]
CartId = Annotated[Text, described("the shop's cart number")]
CheckoutId = Annotated[Text, described("the shop's checkout number")]
ListId = Annotated[Text, described("product list")]
PromotionId = Annotated[Text, described("promotion")]
PromotionPosition = Annotated[Text, described("place on the page, in the shop's words")]
Value = Annotated[Amount, described("value the shop gives the event, in units of the currency")]
Revenue = Annotated[
    Amount, described("paid without shipping and tax, in units of the currency", column="revenue_cents")
]
Total = Annotated[Amount, described("paid with shipping and tax, in units of the currency", column="total_cents")]
Subtotal = Annotated[Amount, described("products before order discounts, shipping and tax, in units of the currency")]
Shipping = Annotated[Amount, described("shipping, in units of the currency", column="shipping_cents")]
Tax = Annotated[Amount, described("tax, in units of the currency", column="tax_cents")]
Discount = Annotated[Amount, described("taken off, in units of the currency", column="discount_cents")]
Affiliation = Annotated[Text, described("store or marketplace the order came through")]
IsSoFar = Annotated[Text, described("true when the amount is all that its order was refunded so far")]
IsUndated = Annotated[Text, described("true when nobody knows the day of the refund: its time is that of the import")]
Step = Annotated[Number, described("step of the checkout, from 1")]
ShippingMethod = Annotated[Text, described("shipping method")]
PaymentMethod = Annotated[Text, described("payment method, never a card number")]
CouponId = Annotated[Text, described("coupon code", column="coupon")]
CouponName = Annotated[Text, described("name of the coupon")]
WishlistId = Annotated[Text, described("wishlist")]
WishlistName = Annotated[Text, described("name the customer gave the wishlist", vault="texts")]
CampaignId = Annotated[Text, described("campaign", column="campaign_id")]
DecisionId = Annotated[Text, described("the decision of ours that caused it", column="decision_id")]
Channel = Annotated[Text, described("web, app, store, email, mail, ad ...", column="channel")]
ContractId = Annotated[Text, described("the shop's contract or subscription, the same in each renewal")]
Creative = Annotated[Text, described("creative shown")]


class Item(Struct, frozen=True, kw_only=True):
    """One product of a list, cart or order."""

    product_id: ProductId = None
    sku: Sku = None
    name: ProductName = None
    category: Category = None
    brand: Brand = None
    variant: Variant = None
    price: Price = None
    quantity: Quantity = None
    discount: Discount = None
    coupon: Coupon = None
    position: Position = None
    url: Url = None
    image_url: ImageUrl = None


Products = Annotated[list[Item] | None, described("the products", column="products")]


class Event(Struct, frozen=True, kw_only=True):
    """Anything a customer did, or that was done for one."""

    event: ClassVar[str] = ""
    """Its exact name."""
    required: ClassVar[tuple[str, ...]] = ()
    """Properties without which it means nothing."""
    is_refund: ClassVar[bool] = False
    """Whether its amounts are money refunded; they are stored above zero, whatever their sign was."""
