// Sends COUNT events with a client as its users would: node send.js CLIENT ADDRESS KEY COUNT
const [client, address, key, count] = process.argv.slice(2);
const event = (n) => ({
  userId: `user-${n % 50}`,
  event: "Product Viewed",
  properties: { product_id: `p${n}`, price: 9.5 },
});

async function segment() {
  const { Analytics } = require("@segment/analytics-node");
  const analytics = new Analytics({ writeKey: key, host: address });
  for (let n = 0; n < Number(count); n++) analytics.track(event(n));
  await analytics.closeAndFlush();
}

async function rudder() {
  const Client = require("@rudderstack/rudder-sdk-node");
  const analytics = new Client(key, { dataPlaneUrl: address, maxQueueSize: 5000 });
  for (let n = 0; n < Number(count); n++) analytics.track(event(n));
  while (analytics.queue.length > 0) await new Promise((done) => analytics.flush(() => done()));
  setTimeout(() => process.exit(0), 500); // its timer would keep the process for ever
}

({ segment, rudder })[client]();
