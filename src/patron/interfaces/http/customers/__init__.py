"""The API of customers: `customer_routes` lists its operations; `customer_view` is one customer, live too."""
