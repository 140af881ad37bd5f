// Sends what TestTheNodeClientWorksUnchanged expects, with the client as it is published.
// Environment: INSTALLED (folder with node_modules), HOST (of the front door), WRITE_KEY.
import { createRequire } from 'node:module'

const { Analytics } = createRequire(process.env.INSTALLED + '/')('@segment/analytics-node')

const client = new Analytics({
  writeKey: process.env.WRITE_KEY, host: process.env.HOST, maxEventsInBatch: 7, flushInterval: 100,
})
client.on('error', (err) => {
  console.error(err)
  process.exitCode = 1
})

const timestamp = new Date(Date.now() - 60_000)
client.identify({
  userId: 'node-user', anonymousId: 'node-anon', messageId: 'node-identify', timestamp,
  traits: { email: 'mira.osei@example.com', firstName: 'Mira', plan: 'gold', visits: 3, address: { city: 'Graz', country: 'AT' }, lost: null },
})
for (let n = 0; n < 20; n++) {
  client.track({
    userId: 'node-user', messageId: `node-track-${n}`, event: 'Order Completed', timestamp,
    properties: { order_id: `A-${n}`, total: 84.9, note: 'für 😀', items: [{ sku: 'TRAIL-42' }] },
  })
}
client.track({ anonymousId: 'node-anon', messageId: 'node-hidden', event: 'Seen', integrations: { All: true, Braze: false } })
client.page({ userId: 'node-user', messageId: 'node-page', name: 'Home', category: 'Shop', properties: { path: '/' } })
client.screen({ userId: 'node-user', messageId: 'node-screen', name: 'Cart' })
client.group({ userId: 'node-user', messageId: 'node-group', groupId: 'acme', traits: { name: 'Acme', employees: 12 } })
client.alias({ userId: 'node-user', messageId: 'node-alias', previousId: 'node-before' })

await client.closeAndFlush({ timeout: 20_000 })
