'use strict'

const MarkdownIt = require('markdown-it')

const LARGEST_BODY = 128 << 10

// HTML in a text is shown as text. Addresses are those of the web, of mail and of telephones,
// and those that begin nowhere; markdown-it knows some more, such as data:.
const md = new MarkdownIt({ html: false, linkify: false, typographer: false, maxNesting: 50 })
md.validateLink = address => /^(?:https?:|mailto:|tel:|#)/i.test(address) || !/^[^/?#]*:/.test(address)

// A link leads to somebody whom the page does not vouch for.
const open = md.renderer.rules.link_open ?? ((tokens, at, options, env, self) => self.renderToken(tokens, at, options))
md.renderer.rules.link_open = (tokens, at, ...rest) => {
  tokens[at].attrSet('rel', 'nofollow noopener noreferrer')
  return open(tokens, at, ...rest)
}

async function read (body) {
  const pieces = []
  let length = 0
  for await (const piece of body) {
    length += piece.length
    if (length > LARGEST_BODY) return undefined
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString()
}

const escaped = text => md.utils.escapeHtml(text)

// page is a whole document, for a browser.
function page (title, html) {
  return `<!doctype html>
<html lang="und">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<main>
${html}</main>
</html>
`
}

module.exports = async (event, context) => {
  const refuse = (status, text) => context.status(status).headers({ 'Content-Type': 'text/plain; charset=utf-8' }).succeed(text + '\n')
  if (event.method !== 'POST' && event.method !== 'PUT') return refuse(405, 'send Markdown with POST')
  const text = await read(event.body)
  if (text === undefined) return refuse(413, `the text has more than ${LARGEST_BODY} bytes`)
  const { page: title } = event.query ?? {}
  if (Array.isArray(title) || title?.length > 200) return refuse(400, 'page is one title of at most 200 characters')
  const html = md.render(text.replace(/^\uFEFF/, ''))
  return context
    .status(200)
    .headers({
      'Content-Type': 'text/html; charset=utf-8',
      // If a browser shows the answer itself: no script, no form, no frame.
      'Content-Security-Policy': "default-src 'none'; img-src https: http:; sandbox",
      'X-Content-Type-Options': 'nosniff'
    })
    .succeed(title === undefined ? html : page(title, html))
}

module.exports.stream = true
