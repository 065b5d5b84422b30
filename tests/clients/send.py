"""Sends COUNT events with a client as its users would: python send.py CLIENT ADDRESS KEY COUNT."""

import sys

EVENT = "Product Viewed"


def segment(address, key, count):
    import segment.analytics as client

    client.write_key, client.host = key, address
    for n in range(count):
        client.track(f"user-{n % 50}", EVENT, {"product_id": f"p{n}", "price": 9.5})
    client.shutdown()


def rudder(address, key, count):
    import rudderstack.analytics as client

    client.write_key, client.dataPlaneUrl = key, address
    for n in range(count):
        client.track(f"user-{n % 50}", EVENT, {"product_id": f"p{n}", "price": 9.5})
    client.shutdown()


def sensors(address, key, count):
    import sensorsanalytics

    consumer = sensorsanalytics.BatchConsumer(f"{address}/sa?project=default&token={key}", 50)
    client = sensorsanalytics.SensorsAnalytics(consumer)
    for n in range(count - 3):
        client.track(f"user-{n % 50}", "ViewProduct", {"product_id": f"p{n}", "price": 9.5}, is_login_id=True)
    client.track_signup("user-1", "visitor-1")
    client.profile_set("user-1", {"city": "Paris"}, is_login_id=True)
    client.item_set("shoe", "p1", {"price": 9.5})
    client.close()


if __name__ == "__main__":
    {one.__name__: one for one in (segment, rudder, sensors)}[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4]))
