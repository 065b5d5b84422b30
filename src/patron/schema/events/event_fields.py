"""Properties of events: each says what it means and where it goes.

That is a column of `events`, the vault, or (neither) the JSON of properties.
"""

from decimal import Decimal
from typing import Annotated, ClassVar

from msgspec import Meta, Struct


def goes(meaning: str, *, column: str = "", vault: str = "") -> Meta:
    """Describe a property and name the column or the JSON of the vault it goes to."""
    return Meta(description=meaning, extra={"column": column, "vault": vault})


Text = str | None
Amount = Decimal | None
Number = float | None

ProductId = Annotated[Text, goes("the shop's product number; the SKU where it is missing", column="product_id")]
Sku = Annotated[Text, goes("stock keeping unit")]
ProductName = Annotated[Text, goes("product name", column="product_name")]
Department = Annotated[Text, goes("department, the level above category", column="department")]
Category = Annotated[Text, goes("product category", column="category")]
Brand = Annotated[Text, goes("brand", column="brand")]
Variant = Annotated[Text, goes("variant, such as a colour or size")]
Price = Annotated[Amount, goes("price of one unit, in units of the currency", column="price_cents")]
Quantity = Annotated[int | None, goes("units, 0 or more", column="quantity")]
Coupon = Annotated[Text, goes("coupon code", column="coupon")]
Position = Annotated[Number, goes("position in the list, from 1")]
Url = Annotated[Text, goes("address of the page; may name a person", vault="texts")]
ImageUrl = Annotated[Text, goes("address of the product's picture")]
Currency = Annotated[Text, goes("ISO 4217 code of the amounts; missing is the shop's own", column="currency")]
OrderId = Annotated[Text, goes("the shop's order number", column="order_id")]
CartId = Annotated[Text, goes("the shop's cart number")]
CheckoutId = Annotated[Text, goes("the shop's checkout number")]
ListId = Annotated[Text, goes("product list")]
PromotionId = Annotated[Text, goes("promotion")]
PromotionPosition = Annotated[Text, goes("place on the page, in the shop's words")]
Value = Annotated[Amount, goes("value the shop gives the event, in units of the currency")]
Revenue = Annotated[Amount, goes("paid without shipping and tax, in units of the currency", column="revenue_cents")]
Total = Annotated[Amount, goes("paid with shipping and tax, in units of the currency", column="total_cents")]
Subtotal = Annotated[Amount, goes("products before order discounts, shipping and tax, in units of the currency")]
Shipping = Annotated[Amount, goes("shipping, in units of the currency", column="shipping_cents")]
Tax = Annotated[Amount, goes("tax, in units of the currency", column="tax_cents")]
Discount = Annotated[Amount, goes("taken off, in units of the currency", column="discount_cents")]
Affiliation = Annotated[Text, goes("store or marketplace the order came through")]
Step = Annotated[Number, goes("step of the checkout, from 1")]
ShippingMethod = Annotated[Text, goes("shipping method")]
PaymentMethod = Annotated[Text, goes("payment method, never a card number")]
CouponId = Annotated[Text, goes("coupon code", column="coupon")]
CouponName = Annotated[Text, goes("name of the coupon")]
WishlistId = Annotated[Text, goes("wishlist")]
WishlistName = Annotated[Text, goes("name the customer gave the wishlist", vault="texts")]
CampaignId = Annotated[Text, goes("campaign", column="campaign_id")]
DecisionId = Annotated[Text, goes("the decision of ours that caused it", column="decision_id")]
Channel = Annotated[Text, goes("web, app, store, email, mail, ad ...", column="channel")]
Creative = Annotated[Text, goes("creative shown")]


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


Products = Annotated[list[Item] | None, goes("the products", column="products")]


class Event(Struct, frozen=True, kw_only=True):
    """Anything a customer did, or that was done for one."""

    event: ClassVar[str] = ""
    """Its exact name."""
    required: ClassVar[tuple[str, ...]] = ()
    """Properties without which it means nothing."""
    gives_back: ClassVar[bool] = False
    """Whether its amounts are money given back; they are stored above zero, whatever their sign was."""
