"""A storefront whose shoppers react to lists of recommendations, so that policies can be compared in a closed loop.

Set up: `storefront_settings`, from which `storefront_world` makes `storefront_products` and `storefront_shoppers`.
Day by day: `storefront` asks a `storefront_policy` for lists, `storefront_choice` says how shoppers choose.
Compare: `storefront_result`.
"""
