'use strict'

// Sends answers that come in pieces, and what failed.

// sendError answers with a status and a text, or cuts the connection where a part of
// the answer is already on its way, so that nobody takes it for the whole.
function sendError (req, res, status, text, type = 'text/plain; charset=utf-8') {
  if (res.headersSent) return res.destroy()
  for (const name of res.getHeaderNames()) res.removeHeader(name)
  const body = Buffer.from(text)
  res.writeHead(status, { 'content-type': type, 'content-length': body.length })
  res.end(req.method === 'HEAD' ? undefined : body)
}

// sendFailure logs an error. Its text is nothing for the caller.
function sendFailure (req, res, err) {
  console.error(err)
  sendError(req, res, 500, 'Internal Server Error\n')
}

// setHeaders takes an object, or pairs as a Headers or a Map has them. A list is
// several headers.
function setHeaders (res, headers) {
  if (typeof headers[Symbol.iterator] !== 'function') {
    for (const name of Object.keys(headers)) res.setHeader(name, headers[name])
    return
  }
  for (const [name, value] of headers) {
    if (res.hasHeader(name)) res.appendHeader(name, value)
    else res.setHeader(name, value)
  }
}

function bytes (piece) {
  if (typeof piece === 'string' || piece instanceof Uint8Array) return piece
  if (ArrayBuffer.isView(piece)) return Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
  if (piece instanceof ArrayBuffer) return Buffer.from(piece)
  throw new TypeError(`a piece of the answer is of the type ${kind(piece)}: it must be a string or bytes`)
}

// kind is what a developer calls the type of a value.
function kind (value) {
  if (value === null || typeof value !== 'object') return String(value === null ? value : typeof value)
  return value.constructor?.name || 'object'
}

// pieces returns how the pieces of a stream, an iterator or an iterable are got, and
// how it is told that nobody wants more.
function pieces (source) {
  if (typeof source.getReader === 'function') {
    const reader = source.getReader()
    return { next: () => reader.read(), cancel: () => reader.cancel() }
  }
  const iterator = source[Symbol.asyncIterator]?.() ?? source[Symbol.iterator]()
  return {
    next: () => iterator.next(),
    cancel: async () => typeof source.destroy === 'function' ? source.destroy() : iterator.return?.()
  }
}

// sendPieces sends a stream or what an iterator gives, as it comes. begin(first) is
// called with the first piece, undefined where there is none, before anything is sent;
// without it the headers have been.
async function sendPieces (req, res, source, begin) {
  const { next, cancel } = pieces(source)
  const leave = () => cancel().catch(() => {}) // nobody is left to tell
  res.once('close', () => {
    if (!res.writableFinished) leave()
  })
  try {
    let piece = await next()
    begin?.(piece.done ? undefined : bytes(piece.value))
    if (req.method === 'HEAD') {
      leave()
      return res.end()
    }
    for (; !piece.done; piece = await next()) {
      const data = bytes(piece.value)
      if (res.destroyed) return
      if (data.length > 0 && !res.write(data)) await drained(res)
    }
    res.end()
  } catch (err) {
    if (res.destroyed) return // the caller has gone, and the source was told
    leave()
    sendFailure(req, res, err)
  }
}

function drained (res) {
  return new Promise((resolve) => {
    if (res.destroyed) return resolve()
    const done = () => {
      res.off('drain', done)
      res.off('close', done)
      resolve()
    }
    res.on('drain', done)
    res.on('close', done)
  })
}

// isResponse tells a Response of the web, of whatever library.
function isResponse (value) {
  return value instanceof Response ||
    (typeof value.headers?.getSetCookie === 'function' && typeof value.status === 'number' && typeof value.arrayBuffer === 'function')
}

async function sendResponse (req, res, response) {
  if (response.bodyUsed) throw new TypeError('the body of the Response has been read already')
  if (response.status < 200) throw new RangeError(`a Response of the status ${response.status} cannot be sent`)
  setHeaders(res, response.headers)
  res.statusCode = response.status
  if (!response.body) {
    if (response.status !== 204 && response.status !== 304 && !res.hasHeader('content-length')) res.setHeader('content-length', 0)
    return res.end()
  }
  res.flushHeaders()
  await sendPieces(req, res, response.body)
}

module.exports = { isResponse, kind, sendError, sendFailure, sendPieces, sendResponse, setHeaders }
