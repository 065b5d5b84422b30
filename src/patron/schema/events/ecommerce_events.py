"""Segment's e-commerce v2 events, by their exact names and properties, with Identify, Page and Screen."""

from typing import Annotated, Any

from patron.schema.events.event_fields import (
    Affiliation,
    Brand,
    CampaignId,
    CartId,
    Category,
    CheckoutId,
    Coupon,
    CouponId,
    CouponName,
    Creative,
    Currency,
    Discount,
    Event,
    ImageUrl,
    IsSoFar,
    IsUndated,
    ListId,
    Number,
    OrderId,
    PaymentMethod,
    Position,
    Price,
    ProductId,
    ProductName,
    Products,
    PromotionId,
    PromotionPosition,
    Quantity,
    Revenue,
    Shipping,
    ShippingMethod,
    Sku,
    Step,
    Subtotal,
    Tax,
    Text,
    Total,
    Url,
    Value,
    Variant,
    WishlistId,
    WishlistName,
    described,
)


class ProductEvent(Event, frozen=True, kw_only=True):
    """Something about one product."""

    product_id: ProductId = None
    sku: Sku = None
    category: Category = None
    name: ProductName = None
    brand: Brand = None
    variant: Variant = None
    price: Price = None
    quantity: Quantity = None
    coupon: Coupon = None
    position: Position = None
    url: Url = None
    image_url: ImageUrl = None


class OrderEvent(Event, frozen=True, kw_only=True):
    """Something about one order."""

    order_id: OrderId = None
    affiliation: Affiliation = None
    total: Total = None
    revenue: Revenue = None
    shipping: Shipping = None
    tax: Tax = None
    discount: Discount = None
    coupon: Coupon = None
    currency: Currency = None
    products: Products = None


class ProductsSearched(Event, frozen=True, kw_only=True):
    """The customer searched for products."""

    event = "Products Searched"
    query: Annotated[Any, described("what was searched, a text or an object", vault="texts")] = None


class ProductListViewed(Event, frozen=True, kw_only=True):
    """The customer saw a list or category of products."""

    event = "Product List Viewed"
    list_id: ListId = None
    category: Category = None
    products: Products = None


class ProductListFiltered(ProductListViewed, frozen=True, kw_only=True):
    """The customer filtered or sorted a list of products."""

    event = "Product List Filtered"
    filters: Annotated[list[Any] | None, described("filters, each with type and value")] = None
    sorts: Annotated[list[Any] | None, described("sort orders, each with type and value")] = None


class PromotionViewed(Event, frozen=True, kw_only=True):
    """The customer saw a promotion in the shop."""

    event = "Promotion Viewed"
    promotion_id: PromotionId = None
    creative: Creative = None
    name: Annotated[Text, described("name of the promotion")] = None
    position: PromotionPosition = None


class PromotionClicked(PromotionViewed, frozen=True, kw_only=True):
    """The customer clicked a promotion in the shop."""

    event = "Promotion Clicked"


class ProductClicked(ProductEvent, frozen=True, kw_only=True):
    """The customer clicked a product in a list."""

    event = "Product Clicked"


class ProductViewed(ProductEvent, frozen=True, kw_only=True):
    """The customer looked at a product."""

    event = "Product Viewed"
    currency: Currency = None
    value: Value = None


class ProductAdded(ProductEvent, frozen=True, kw_only=True):
    """The customer put a product into the cart."""

    event = "Product Added"
    cart_id: CartId = None


class ProductRemoved(ProductAdded, frozen=True, kw_only=True):
    """The customer took a product out of the cart."""

    event = "Product Removed"


class CartViewed(Event, frozen=True, kw_only=True):
    """The customer looked at the cart."""

    event = "Cart Viewed"
    cart_id: CartId = None
    products: Products = None


class CheckoutStarted(OrderEvent, frozen=True, kw_only=True):
    """The customer began to check out."""

    event = "Checkout Started"
    value: Value = None


class CheckoutStepViewed(Event, frozen=True, kw_only=True):
    """The customer saw a step of the checkout."""

    event = "Checkout Step Viewed"
    checkout_id: CheckoutId = None
    step: Step = None
    shipping_method: ShippingMethod = None
    payment_method: PaymentMethod = None


class CheckoutStepCompleted(CheckoutStepViewed, frozen=True, kw_only=True):
    """The customer finished a step of the checkout."""

    event = "Checkout Step Completed"


class PaymentInfoEntered(CheckoutStepViewed, frozen=True, kw_only=True):
    """The customer entered how to pay."""

    event = "Payment Info Entered"
    order_id: OrderId = None


class OrderUpdated(OrderEvent, frozen=True, kw_only=True):
    """An order was changed; it makes no order and books no money by itself."""

    event = "Order Updated"


class OrderCompleted(OrderEvent, frozen=True, kw_only=True):
    """The customer placed an order. Net revenue is revenue where given, otherwise total less shipping and tax."""

    event = "Order Completed"
    checkout_id: CheckoutId = None
    subtotal: Subtotal = None


class OrderRefunded(OrderEvent, frozen=True, kw_only=True):
    """Money was given back: of the products named, of the total named, or of the whole order."""

    event = "Order Refunded"
    required = ("order_id",)
    is_refund = True
    is_so_far: IsSoFar = None
    is_undated: IsUndated = None


class OrderCancelled(OrderEvent, frozen=True, kw_only=True):
    """The order was cancelled, so that nothing of it is kept."""

    event = "Order Cancelled"
    required = ("order_id",)
    is_refund = True


class CouponEntered(Event, frozen=True, kw_only=True):
    """The customer typed a coupon code."""

    event = "Coupon Entered"
    order_id: OrderId = None
    cart_id: CartId = None
    coupon_id: CouponId = None


class CouponApplied(CouponEntered, frozen=True, kw_only=True):
    """A coupon took something off."""

    event = "Coupon Applied"
    coupon_name: CouponName = None
    discount: Discount = None
    campaign_id: CampaignId = None


class CouponDenied(CouponEntered, frozen=True, kw_only=True):
    """A coupon was refused."""

    event = "Coupon Denied"
    coupon_name: CouponName = None
    reason: Annotated[Text, described("why it was refused")] = None


class CouponRemoved(CouponEntered, frozen=True, kw_only=True):
    """A coupon was taken off again."""

    event = "Coupon Removed"
    coupon_name: CouponName = None
    discount: Discount = None


class ProductAddedToWishlist(ProductEvent, frozen=True, kw_only=True):
    """The customer put a product on a wishlist."""

    event = "Product Added to Wishlist"
    wishlist_id: WishlistId = None
    wishlist_name: WishlistName = None


class ProductRemovedFromWishlist(ProductAddedToWishlist, frozen=True, kw_only=True):
    """The customer took a product off a wishlist."""

    event = "Product Removed from Wishlist"


class WishlistProductAddedToCart(ProductAddedToWishlist, frozen=True, kw_only=True):
    """The customer put a product of a wishlist into the cart."""

    event = "Wishlist Product Added to Cart"
    cart_id: CartId = None


class ProductShared(ProductEvent, frozen=True, kw_only=True):
    """The customer shared a product."""

    event = "Product Shared"
    share_via: Annotated[Text, described("how it was shared")] = None
    share_message: Annotated[Text, described("what the customer wrote", vault="texts")] = None
    recipient: Annotated[Text, described("address or number it was sent to", vault="personal")] = None


class CartShared(Event, frozen=True, kw_only=True):
    """The customer shared the cart."""

    event = "Cart Shared"
    share_via: Annotated[Text, described("how it was shared")] = None
    share_message: Annotated[Text, described("what the customer wrote", vault="texts")] = None
    recipient: Annotated[Text, described("address or number it was sent to", vault="personal")] = None
    cart_id: CartId = None
    products: Products = None


class ProductReviewed(Event, frozen=True, kw_only=True):
    """The customer reviewed a product."""

    event = "Product Reviewed"
    product_id: ProductId = None
    review_id: Annotated[Text, described("the review")] = None
    review_body: Annotated[Text, described("what the customer wrote", vault="texts")] = None
    rating: Annotated[Number, described("stars; arrives as a text such as '5'", column="rating")] = None


class Identify(Event, frozen=True, kw_only=True):
    """Who the customer is: plain traits stay in clear; sensitive, identifying and unknown ones go to the vault."""

    event = "Identify"


class Group(Event, frozen=True, kw_only=True):
    """The customer belongs to a group, such as a company or a club."""

    event = "Group"
    group_id: Annotated[Text, described("id of the group")] = None


class Alias(Event, frozen=True, kw_only=True):
    """The previous id, a visitor's or an earlier user id, and the user id are one person."""

    event = "Alias"


class Page(Event, frozen=True, kw_only=True):
    """The customer saw a page."""

    event = "Page"
    name: Annotated[Text, described("name of the page")] = None
    category: Annotated[Text, described("category of the page")] = None
    title: Annotated[Text, described("title; may name a person", vault="texts")] = None
    path: Annotated[Text, described("path; may name a person", vault="texts")] = None
    url: Url = None
    search: Annotated[Text, described("query part of the address", vault="texts")] = None
    referrer: Annotated[Text, described("address of the page before", vault="texts")] = None


class Screen(Event, frozen=True, kw_only=True):
    """The customer saw a screen of the app."""

    event = "Screen"
    name: Annotated[Text, described("name of the screen")] = None
    category: Annotated[Text, described("category of the screen")] = None
