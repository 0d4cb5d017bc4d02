'use strict'

// Serves the function on the loopback interface, where the watchdog calls it.

const http = require('node:http')
const path = require('node:path')
const { pathToFileURL } = require('node:url')

const shape = require('./fnb_shape')

class FunctionEvent {
  constructor (req, url, body) {
    this.body = body
    this.headers = req.headers
    this.method = req.method
    this.query = readQuery(url.searchParams)
    this.path = url.pathname
  }
}

// The context of one request. What a handler returns is the answer, unless it
// called succeed or fail before.
class FunctionContext {
  constructor (finish) {
    this.statusCode = 200
    this.headerValues = {}
    this.cbCalled = 0
    this.cb = (err, value) => {
      this.cbCalled++
      finish(this, err, value)
    }
  }

  status (code) {
    if (!code) return this.statusCode
    this.statusCode = code
    return this
  }

  headers (values) {
    if (!values) return this.headerValues
    this.headerValues = values
    return this
  }

  succeed (value) {
    this.cb(undefined, value)
  }

  fail (err) {
    if (Number(this.statusCode) === 200) this.statusCode = 500
    this.cb(err === undefined || err === null ? new Error('the function called fail') : err)
  }
}

class BadRequest extends Error {}

function readQuery (params) {
  const query = {}
  for (const name of new Set(params.keys())) {
    const values = params.getAll(name)
    Object.defineProperty(query, name, {
      value: values.length > 1 ? values : values[0], enumerable: true, writable: true, configurable: true
    })
  }
  return query
}

async function readBody (req) {
  const chunks = []
  for await (const chunk of req) chunks.push(chunk)
  return Buffer.concat(chunks)
}

// Bodies are what OpenFaaS makes of them: JSON and forms become values, text and
// what has no type become strings. Anything else stays a Buffer.
function parseBody (req, raw) {
  if (process.env.RAW_BODY === 'true') return raw
  const type = (req.headers['content-type'] || 'text/plain').split(';')[0].trim().toLowerCase()
  if (type === 'application/json' || type.endsWith('+json')) {
    if (raw.length === 0) return {}
    try {
      return JSON.parse(raw.toString())
    } catch {
      throw new BadRequest('the body is not JSON')
    }
  }
  if (type === 'application/x-www-form-urlencoded') return readQuery(new URLSearchParams(raw.toString()))
  if (type.startsWith('text/')) return raw.toString()
  return raw
}

function encode (value) {
  if (value === undefined || value === null) return [Buffer.alloc(0), undefined]
  if (Buffer.isBuffer(value) || value instanceof Uint8Array) return [Buffer.from(value), 'application/octet-stream']
  if (typeof value === 'object') return [Buffer.from(JSON.stringify(value)), 'application/json; charset=utf-8']
  return [Buffer.from(String(value)), 'text/html; charset=utf-8']
}

function send (req, res, status, headers, value) {
  if (res.headersSent) return
  const [body, type] = encode(value)
  res.statusCode = Number(status)
  for (const [name, text] of Object.entries(headers)) res.setHeader(name, text)
  if (type && !res.hasHeader('content-type')) res.setHeader('content-type', type)
  if (res.statusCode !== 204 && res.statusCode !== 304) res.setHeader('content-length', body.length)
  res.end(req.method === 'HEAD' ? undefined : body)
}

function sendError (req, res, status, err) {
  console.error(err)
  send(req, res, status, {}, String(err))
}

async function serve (handler, req, res) {
  const finish = (context, err, value) => {
    try {
      if (err) {
        sendError(req, res, Number(context.statusCode) === 200 ? 500 : context.statusCode, err)
      } else {
        send(req, res, context.statusCode, context.headerValues, value)
      }
    } catch (problem) {
      for (const name of res.getHeaderNames()) res.removeHeader(name)
      sendError(req, res, 500, problem)
    }
  }
  try {
    const url = new URL('http://function' + (req.url.startsWith('/') ? req.url : '/'))
    const event = new FunctionEvent(req, url, parseBody(req, await readBody(req)))
    const context = new FunctionContext(finish)
    let result
    try {
      result = await handler(event, context, context.cb)
    } catch (err) {
      if (!context.cbCalled) context.fail(err)
      else console.error(err)
      return
    }
    // A handler with a third parameter calls it when it is done.
    if (!context.cbCalled && !(handler.length > 2 && result === undefined)) context.succeed(result === context ? undefined : result)
  } catch (err) {
    if (err instanceof BadRequest) send(req, res, 400, {}, `${err.message}\n`)
    else if (!req.destroyed || req.complete) sendError(req, res, 500, err)
  }
}

// The port on which the watchdog calls the function.
function port () {
  try {
    return Number(new URL(process.env.upstream_url).port) || 3000
  } catch {
    return 3000
  }
}

// For how many milliseconds to go on taking requests after SIGTERM. A watchdog
// that passes the signal on before it refuses requests itself does so for
// healthcheck_interval, or else for write_timeout; fnb's passes it on last, and
// says 0.
function pause () {
  const units = { h: 3600000, m: 60000, s: 1000, ms: 1 }
  for (const name of ['healthcheck_interval', 'write_timeout']) {
    const text = process.env[name] || ''
    if (/^\d+$/.test(text)) return Number(text) * 1000
    if (!/^(\d+(\.\d+)?(h|ms|m|s))+$/.test(text)) continue
    let total = 0
    for (const [, number, unit] of text.matchAll(/([\d.]+)(h|ms|m|s)/g)) total += Number(number) * units[unit]
    return total
  }
  return 30000
}

async function load () {
  const loaded = await import(pathToFileURL(path.join(__dirname, 'function', 'handler.js')).href)
    .catch((err) => {
      // package.json may name another file than handler.js.
      if (err.code !== 'ERR_MODULE_NOT_FOUND' || !/function.handler\.js'/.test(err.message)) throw err
      return { default: require('./function') }
    })
  const handler = typeof loaded.default === 'function' ? loaded.default : (loaded.default?.handler ?? loaded.handler)
  if (typeof handler !== 'function') throw new shape.Refused('function/handler.js exports no function')
  return handler
}

async function main () {
  const handler = await load()
  const callback = shape.told(String(handler)) === 'callback'
  const answer = callback ? require('./fnb_classic').serve : (req, res) => serve(handler, req, res)

  let closing = false
  const server = http.createServer((req, res) => {
    res.once('close', () => {
      if (closing) setImmediate(() => server.closeIdleConnections())
    })
    answer(req, res)
  })
  // The watchdog decides how long connections and requests may last.
  server.keepAliveTimeout = 0
  server.requestTimeout = 0

  const close = () => {
    closing = true
    server.close(() => process.exit(0))
    server.closeIdleConnections()
  }
  let timer
  process.on('SIGINT', close)
  process.on('SIGTERM', () => {
    if (timer) return close()
    timer = setTimeout(close, pause())
  })
  server.listen(port(), '127.0.0.1')
}

module.exports = { load }

if (require.main === module) {
  main().catch((err) => {
    console.error(err instanceof shape.Refused ? `${err.message}\n${shape.accepted}` : err)
    process.exit(1)
  })
}
