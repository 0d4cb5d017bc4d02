'use strict'

const assert = require('node:assert')
const test = require('node:test')
const { Readable } = require('node:stream')

const handle = require('./handler')

async function answer (text, { query = {}, method = 'POST' } = {}) {
  const context = {
    headers (values) { this.sent = values; return this },
    status (code) { this.code = code; return this },
    succeed (value) { this.value = value; return this }
  }
  await handle({ method, query, body: Readable.from([Buffer.from(text)]) }, context)
  return { status: context.code, html: context.value, headers: context.sent }
}

test('renders Markdown', async () => {
  const { status, html, headers } = await answer('# Title\n\n* one\n* **two**\n\n| a | b |\n|---|---|\n| 1 | `2` |\n')
  assert.strictEqual(status, 200)
  for (const part of ['<h1>Title</h1>', '<li><strong>two</strong></li>', '<td><code>2</code></td>']) assert.ok(html.includes(part), part)
  assert.match(headers['Content-Security-Policy'], /sandbox/)
})

test('lets nothing through that runs', async () => {
  for (const text of [
    '<script>alert(1)</script>',
    '<img src=x onerror=alert(1)>',
    '[a](javascript:alert(1))',
    '[a](JaVaScRiPt:alert(1))',
    '[a](java&#x73;cript:alert(1))',
    '[a](javascript&colon;alert(1))',
    '[a](<java\nscript:alert(1)>)',
    '[a](data:text/html;base64,x)',
    '[a](vbscript:x)',
    '[a](file:///etc/passwd)',
    '![a](data:image/svg+xml;base64,x)',
    '![a](x"onerror="alert(1))',
    '[a](x "t\\" onclick=\\"alert(1)")',
    '<javascript:alert(1)>',
    '```"><script>\nx\n```'
  ]) {
    const { html } = await answer(text)
    const tags = html.match(/<[^>]*>/g).join('\n')
    assert.doesNotMatch(tags, /="\s*(javascript|data|vbscript|file):/i, text + '\n' + html)
    assert.doesNotMatch(tags.replace(/"[^"]*"/g, '""'), /<(?!\/?(p|a|img|pre|code|br)\b)|\son\w+=|=[^"]/i, text + '\n' + html)
  }
})

test('keeps good links, and vouches for none', async () => {
  for (const link of ['https://example.com/a?b=c:d', 'mailto:ann@example.com', 'tel:+49', '#part', '../a/b:c', '?a:b', 'page.html']) {
    assert.strictEqual((await answer(`[a](${link})`)).html, `<p><a href="${link}" rel="nofollow noopener noreferrer">a</a></p>\n`)
  }
})

test('makes a page', async () => {
  const { html } = await answer('x', { query: { page: 'A <b>title</b>' } })
  assert.match(html, /^<!doctype html>/)
  assert.ok(html.includes('<title>A &lt;b&gt;title&lt;/b&gt;</title>'))
})

test('has bounds', async () => {
  assert.strictEqual((await answer('x'.repeat((128 << 10) + 1))).status, 413)
  assert.strictEqual((await answer('x', { method: 'GET' })).status, 405)
  assert.strictEqual((await answer('x', { query: { page: ['a', 'b'] } })).status, 400)
  for (const text of ['>'.repeat(60_000), '['.repeat(60_000), '*a_ '.repeat(30_000), '`'.repeat(60_000), '- '.repeat(30_000), '![](<'.repeat(20_000)]) {
    const began = Date.now()
    assert.strictEqual((await answer(text)).status, 200)
    const took = Date.now() - began
    assert.ok(took < 20_000, `${text.slice(0, 8)}… takes ${took} ms`)
  }
})
