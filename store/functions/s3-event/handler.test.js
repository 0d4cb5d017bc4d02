'use strict'

const assert = require('node:assert')
const test = require('node:test')
const { Readable } = require('node:stream')

const { answerer, settings } = require('./handler').parts

const TOKEN = 'a token of some length'.replaceAll(' ', '-')
const s3 = (key, bucket = 'photos') => ({ eventName: 's3:ObjectCreated:Put', s3: { bucket: { name: bucket }, object: { key, size: 3, eTag: 'e', sequencer: '1' } } })

async function send (message, { method = 'POST', token = TOKEN, buckets, handle = () => {} } = {}) {
  const seen = []
  const context = {
    status (code) { this.code = code; return this },
    succeed (value) { this.value = value; return this }
  }
  const body = Readable.from([Buffer.from(typeof message === 'string' ? message : JSON.stringify(message))])
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const options = settings(TOKEN, buckets)
  await answerer(() => options, async object => { seen.push(object); await handle(object) })({ method, headers, body }, context)
  return { status: context.code, value: context.value, seen }
}

test('takes the objects of an event', async () => {
  const { status, value, seen } = await send({ Records: [s3('a+b/%C3%BC.png'), s3('two')] })
  assert.deepStrictEqual([status, value], [200, { taken: 2 }])
  assert.deepStrictEqual(seen[0], { event: 's3:ObjectCreated:Put', bucket: 'photos', key: 'a b/ü.png', size: 3, etag: 'e', version: null, sequencer: '1' })
})

test('takes events of EventBridge, whose keys are plain', async () => {
  const { seen } = await send({ 'detail-type': 'Object Created', detail: { bucket: { name: 'photos' }, object: { key: 'a+b %.png', size: 1, etag: 'e' } } })
  assert.strictEqual(seen[0].key, 'a+b %.png')
  assert.strictEqual(seen[0].event, 'Object Created')
})

test('takes the event that a bucket sends to try', async () => {
  assert.deepStrictEqual((await send({ Service: 'Amazon S3', Event: 's3:TestEvent' })).value, { taken: 0 })
})

test('wants the token', async () => {
  for (const token of [undefined, '', 'x', TOKEN + 'x', TOKEN.slice(1)]) {
    const { status, seen } = await send({ Records: [s3('a')] }, { token: token ?? '' })
    assert.deepStrictEqual([status, seen], [401, []], token)
  }
  assert.strictEqual((await send({ Records: [] }, { method: 'GET' })).status, 405)
  assert.throws(() => settings('short'), /fewer than 16/)
})

test('takes some buckets alone', async () => {
  assert.strictEqual((await send({ Records: [s3('a')] }, { buckets: 'photos, more' })).status, 200)
  const { status, seen } = await send({ Records: [s3('a'), s3('b', 'other')] }, { buckets: 'photos' })
  assert.deepStrictEqual([status, seen], [403, []])
})

test('refuses what is no event', async () => {
  for (const bad of ['', '{', '[]', 'null', '{"Records": 1}', { Records: [null] }, { Records: [s3('')] }, { Records: [s3('%')] }, { Records: [s3('x'.repeat(1025))] }, { Records: Array(1001).fill(s3('a')) }, { detail: {} }]) {
    const { status, seen } = await send(bad)
    assert.deepStrictEqual([status, seen], [400, []], JSON.stringify(bad).slice(0, 80))
  }
  assert.strictEqual((await send('"' + 'x'.repeat(1 << 20) + '"')).status, 413)
})

test('asks for the event again if an object could not be taken', async () => {
  await assert.rejects(send({ Records: [s3('a')] }, { handle: () => { throw new Error('the disk is full') } }), /disk/)
})
