import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newWebhookSecret, signatureHeaders, verifySignature } from '../../../src/adapters/webhooks/sign.js'
import { Hidden } from '../../../src/hidden.js'

test('signatures are those of the Standard Webhooks specification', () => {
  // The example of the specification.
  const headers = signatureHeaders(
    { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestamp: 1_614_265_330, body: '{"test": 2432232314}' },
    [new Hidden('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')],
  )
  assert.equal(headers['webhook-signature'], 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
})

test('nothing of what is signed can be changed, and an old message is none', () => {
  const secret = newWebhookSecret()
  const signed = { id: 'whd_a', timestamp: 1000, body: '{}' }
  const headers: Record<string, string> = { ...signatureHeaders(signed, [secret]) }
  assert.ok(verifySignature(headers, '{}', secret, 1000))
  assert.ok(verifySignature(headers, '{}', secret, 1300))
  assert.ok(!verifySignature(headers, '{}', secret, 1301))
  assert.ok(!verifySignature(headers, '{}', secret, 699))
  assert.ok(!verifySignature(headers, '{ }', secret, 1000))
  assert.ok(!verifySignature(headers, '{}', newWebhookSecret(), 1000))
  for (const change of [
    { 'webhook-id': 'whd_b' },
    { 'webhook-timestamp': '1001' },
    { 'webhook-timestamp': 'x' },
    { 'webhook-signature': 'v1,' },
    { 'webhook-signature': (headers['webhook-signature'] ?? '').replace('v1', 'v2') },
  ]) {
    assert.ok(!verifySignature({ ...headers, ...change }, '{}', secret, 1000), JSON.stringify(change))
  }
  const { 'webhook-id': _, ...without } = headers
  assert.ok(!verifySignature(without, '{}', secret, 1000))
})

test('a secret has 256 bits and is not printed', () => {
  const secret = newWebhookSecret()
  assert.match(secret.reveal(), /^whsec_[A-Za-z0-9+/]{43}=$/)
  assert.equal(String(secret), '[hidden]')
})
