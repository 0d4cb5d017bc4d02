'use strict'

const assert = require('node:assert')
const test = require('node:test')

const handle = require('./handler')

test('answers with the body', async () => {
  const context = {
    status (code) { this.code = code; return this },
    succeed (value) { this.value = value; return this }
  }
  await handle({ method: 'POST', body: 'hi' }, context)
  assert.strictEqual(context.code, 200)
  assert.deepStrictEqual(context.value, { method: 'POST', body: 'hi' })
})
