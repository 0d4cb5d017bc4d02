'use strict'

const assert = require('node:assert')
const test = require('node:test')

const handle = require('./handler')

async function answer (body, query = {}) {
  const context = {
    headers (values) { return this },
    status (code) { this.code = code; return this },
    succeed (value) { this.value = value; return this }
  }
  await handle({ method: 'POST', body, query }, context)
  return [context.code, context.value]
}

test('makes names of titles', async () => {
  for (const [title, slug] of [
    ['Crème Brûlée: the 7 best recipes!', 'creme-brulee-the-7-best-recipes'],
    ['  Straße & Øl  ', 'strasse-oel'],
    ["Don't panic", 'dont-panic'],
    ['ＦＵＬＬ ｗｉｄｔｈ', 'full-width']
  ]) assert.deepStrictEqual(await answer(title), [200, slug + '\n'])
})

test('cuts between words', async () => {
  assert.deepStrictEqual(await answer('one two three', { max: '8' }), [200, 'one-two\n'])
  assert.deepStrictEqual(await answer('extraordinary', { max: '5' }), [200, 'extra\n'])
  assert.strictEqual((await answer('one', { max: 'x' }))[0], 400)
})

test('says when nothing is left', async () => {
  assert.strictEqual((await answer('?!'))[0], 422)
  assert.strictEqual((await answer(undefined))[0], 422)
})
