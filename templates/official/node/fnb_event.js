'use strict'

// Calls a handler with (event, context), as OpenFaaS's templates for Node do.

const body = require('./fnb_body')
const { isResponse, kind, sendError, sendFailure, sendPieces, sendResponse, setHeaders } = require('./fnb_stream')

class FunctionEvent {
  constructor (req, path, query) {
    this.body = undefined
    this.headers = req.headers
    this.method = req.method
    this.query = query
    this.path = path
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

// target returns the path of a request, as the URLs of the web have it, and the
// values of its query.
function target (url) {
  const mark = url.indexOf('?')
  const path = mark < 0 ? url : url.slice(0, mark)
  const query = mark < 0 ? {} : body.fields(new URLSearchParams(url.slice(mark)))
  if (/^(?:\/[\w~!$&'()*+,;=:@-][\w.~!$&'()*+,;=:@%-]*)+\/?$|^\/$/.test(path)) return [path, query]
  return [new URL('http://function' + (path.startsWith('/') ? path : '/')).pathname, query]
}

const text = 'text/html; charset=utf-8'
const binary = 'application/octet-stream'

// encode returns the bytes of an answer and their type.
function encode (value) {
  if (value === undefined || value === null) return ['', undefined]
  switch (typeof value) {
    case 'string': return [value, text]
    case 'number': case 'boolean': case 'bigint': return [String(value), text]
    case 'object': break
    default: throw unsendable(value)
  }
  if (value instanceof Uint8Array) return [value, binary]
  if (ArrayBuffer.isView(value)) return [Buffer.from(value.buffer, value.byteOffset, value.byteLength), binary]
  if (value instanceof ArrayBuffer) return [Buffer.from(value), binary]
  if (value instanceof Map || value instanceof Set || value instanceof Promise) throw unsendable(value)
  const json = JSON.stringify(value)
  if (json === undefined) throw unsendable(value)
  return [json, 'application/json; charset=utf-8']
}

function unsendable (value) {
  return new TypeError(`the handler's answer is of the type ${kind(value)}, which cannot be sent`)
}

// head prepares the answer's status and headers.
function head (res, context) {
  const status = Number(context.statusCode)
  if (!(status >= 200 && status <= 999)) throw new RangeError(`the handler's status is ${context.statusCode}: it must be a number from 200 to 999`)
  res.statusCode = status
  setHeaders(res, context.headerValues)
}

async function send (req, res, context, value) {
  if (typeof value === 'object' && value !== null) {
    if (isResponse(value)) return sendResponse(req, res, value)
    if (value instanceof Blob) {
      head(res, context)
      if (value.type && !res.hasHeader('content-type')) res.setHeader('content-type', value.type)
      return sendPieces(req, res, value.stream(), begin(res))
    }
    if (typeof value[Symbol.asyncIterator] === 'function' || (typeof value.next === 'function' && typeof value[Symbol.iterator] === 'function')) {
      head(res, context)
      return sendPieces(req, res, value, begin(res))
    }
  }
  const [body, type] = encode(value)
  head(res, context)
  if (type && !res.hasHeader('content-type')) res.setHeader('content-type', type)
  if (res.statusCode !== 204 && res.statusCode !== 304) res.setHeader('content-length', Buffer.byteLength(body))
  res.end(req.method === 'HEAD' ? undefined : body)
}

// begin gives a streamed answer the type of its first piece, where it has none.
function begin (res) {
  return (first) => {
    if (first !== undefined && !res.hasHeader('content-type')) res.setHeader('content-type', typeof first === 'string' ? text : binary)
  }
}

// serve answers a request with found.handler. With found.stream, true or a function
// that says true of an event, the body is a stream, and nothing waits for it.
async function serve (found, req, res) {
  const finish = (context, err, value) => {
    if (res.headersSent) return
    if (err) {
      console.error(err)
      const status = Number(context.statusCode)
      return sendError(req, res, status === 200 || !(status >= 200 && status <= 999) ? 500 : status, String(err), text)
    }
    send(req, res, context, value).catch((problem) => sendFailure(req, res, problem))
  }
  try {
    const [path, query] = target(req.url)
    const event = new FunctionEvent(req, path, query)
    const streamed = typeof found.stream === 'function' ? found.stream(event) : found.stream
    event.body = streamed === true ? body.inflated(req) ?? req : await body.value(req)
    const context = new FunctionContext(finish)
    let result
    try {
      result = await found.handler(event, context, context.cb)
    } catch (err) {
      if (context.cbCalled) console.error(err)
      else sendFailure(req, res, err)
      return
    }
    // A handler with a third parameter calls it when it is done.
    if (!context.cbCalled && !(found.handler.length > 2 && result === undefined)) context.succeed(result === context ? undefined : result)
  } catch (err) {
    if (err instanceof body.BadRequest) sendError(req, res, err.status, `${err.message}\n`)
    else if (!req.destroyed || req.complete) sendFailure(req, res, err)
  }
}

module.exports = { serve }
