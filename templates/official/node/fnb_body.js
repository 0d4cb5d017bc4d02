'use strict'

// Makes values of request bodies, as OpenFaaS's templates do with body-parser.

const zlib = require('node:zlib')

// How large a compressed body may become where no limit is set, how deep the names
// of a form may be, and how many there may be.
const inflatedMost = 64 << 20
const deepest = 32
const mostFields = 10000

// A BadRequest is what the caller did wrong, and is told.
class BadRequest extends Error {
  constructor (status, message) {
    super(message)
    this.status = status
  }
}

const inflaters = { gzip: 'createGunzip', 'x-gzip': 'createGunzip', deflate: 'createInflate', br: 'createBrotliDecompress', zstd: 'createZstdDecompress' }

// inflated returns a stream of a request's body without its compression, and
// undefined where it has one that is not known.
function inflated (req) {
  const coding = (req.headers['content-encoding'] || 'identity').trim().toLowerCase()
  if (coding === 'identity' || coding === '') return req
  const make = zlib[Object.hasOwn(inflaters, coding) ? inflaters[coding] : '']
  if (!make) return undefined
  const stream = make()
  req.on('error', (err) => stream.destroy(err))
  req.on('aborted', () => stream.destroy())
  return req.pipe(stream)
}

// limit is how many bytes a body may have, as OpenFaaS's variables say it.
function limit (name, compressed) {
  const [, number, unit] = /^\s*(\d+(?:\.\d+)?)\s*(b|kb|mb|gb)?\s*$/i.exec(process.env[name] || '') || []
  if (number !== undefined) return Number(number) * { b: 1, kb: 1 << 10, mb: 1 << 20, gb: 1 << 30 }[(unit || 'b').toLowerCase()]
  return compressed ? inflatedMost : Infinity
}

const none = Buffer.alloc(0)

// read returns the bytes of a body without its compression.
function read (req, most, stream) {
  return new Promise((resolve, reject) => {
    const chunks = []
    let size = 0
    let ended = false
    stream.on('data', (chunk) => {
      size += chunk.length
      chunks.push(chunk)
      if (size <= most) return
      stream.removeAllListeners('data')
      if (stream !== req) stream.destroy()
      req.resume()
      reject(new BadRequest(413, `the body has more than ${most} bytes`))
    })
    stream.on('end', () => {
      ended = true
      resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks))
    })
    stream.on('error', (err) => {
      req.resume()
      reject(stream === req ? err : new BadRequest(400, `the body is not ${req.headers['content-encoding']}`))
    })
    stream.on('close', () => ended || reject(new Error('the caller has gone')))
  })
}

function charsetOf (type) {
  const semicolon = type.indexOf(';')
  return semicolon < 0 ? '' : (/;\s*charset\s*=\s*"?([^\s;"]*)/i.exec(type.slice(semicolon))?.[1] ?? '').toLowerCase()
}

// decode makes text of bytes, without a byte order mark.
function decode (raw, charset) {
  if (raw.length > 1 && (charset === '' || charset === 'utf-16') && (raw[0] ^ raw[1]) === 1 && raw[0] + raw[1] === 0x1fd) {
    charset = raw[0] === 0xfe ? 'utf-16be' : 'utf-16le'
  } else if (charset === 'utf-16') {
    charset = raw[0] === 0 ? 'utf-16be' : 'utf-16le' // what most text begins with
  }
  switch (charset) {
    case '': case 'utf-8': case 'utf8': case 'us-ascii':
      return raw[0] === 0xef && raw[1] === 0xbb && raw[2] === 0xbf ? raw.toString('utf8', 3) : raw.toString()
    case 'iso-8859-1': case 'latin1': case 'latin-1':
      return raw.toString('latin1')
  }
  let decoder
  try {
    decoder = new TextDecoder(charset)
  } catch {
    throw new BadRequest(415, `the charset ${charset} is not known`)
  }
  return decoder.decode(raw)
}

// A Level is what has the fields below one name of a form, until all are known.
class Level {
  constructor () {
    this.fields = new Map()
    this.next = 0 // of a list
    this.list = true
  }

  // place is where the value of a key belongs; '' is the end of a list.
  place (key, most) {
    const index = key === '' ? this.next : /^(0|[1-9]\d{0,8})$/.test(key) ? Number(key) : -1
    if (index < 0 || index > most) this.list = false
    else this.next = Math.max(this.next, index + 1)
    const name = key === '' ? String(index) : key
    let at = this.fields.get(name)
    if (!at) this.fields.set(name, at = { values: [], level: undefined })
    return at
  }

  value () {
    if (!this.list) return this.object()
    return [...this.fields].sort((a, b) => Number(a[0]) - Number(b[0])).map(([, at]) => placed(at))
  }

  object () {
    const object = {}
    for (const [name, at] of this.fields) define(object, name, placed(at))
    return object
  }
}

function placed ({ values, level }) {
  const all = level ? [...values, level.value()] : values
  return all.length === 1 ? all[0] : all
}

// define sets a property that may have any name, such as __proto__.
function define (object, name, value) {
  if (name === '__proto__') Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true })
  else object[name] = value
}

// form makes a value of a form, in which a[b]=1 is {a: {b: '1'}}, and a[]=1 is
// {a: ['1']}.
function form (text) {
  const pairs = [...new URLSearchParams(text)]
  if (!pairs.some(([name]) => name.includes('['))) return fields(pairs)
  if (pairs.length > mostFields) throw new BadRequest(413, `the form has more than ${mostFields} fields`)
  const root = new Level()
  for (const [name, value] of pairs) {
    const keys = split(name)
    if (keys.length > deepest + 1) throw new BadRequest(400, `a name of the form has more than ${deepest} levels`)
    let level = root
    let at
    keys.forEach((key, i) => {
      if (i > 0) level = at.level ??= new Level()
      at = level.place(key, Math.max(100, pairs.length))
    })
    at.values.push(value)
  }
  return root.object()
}

// split takes the name of a field apart: a[b][] is a, b and ''.
function split (name) {
  const open = name.indexOf('[')
  if (open <= 0) return [name]
  const keys = [name.slice(0, open)]
  for (const [, key] of name.slice(open).matchAll(/\[([^[\]]*)\]/g)) keys.push(key)
  return keys.length === 1 ? [name] : keys
}

// fields makes an object of pairs: a name that is there several times has a list.
function fields (pairs) {
  const all = new Map()
  for (const [name, value] of pairs) {
    const values = all.get(name)
    if (values) values.push(value)
    else all.set(name, [value])
  }
  const object = {}
  for (const [name, values] of all) define(object, name, values.length > 1 ? values : values[0])
  return object
}

// parse makes of a body what its content type says: JSON and forms become values,
// text and what has no type become strings. Anything else stays a Buffer.
function parse (type, raw) {
  const semicolon = type.indexOf(';')
  const kind = (semicolon < 0 ? type : type.slice(0, semicolon)).trim().toLowerCase()
  if (kind.startsWith('text/')) return decode(raw, charsetOf(type))
  if (kind === 'application/json' || kind.endsWith('+json')) {
    if (raw.length === 0) return {}
    const text = decode(raw, charsetOf(type))
    try {
      return JSON.parse(text)
    } catch {
      throw new BadRequest(400, 'the body is not JSON')
    }
  }
  if (kind === 'application/x-www-form-urlencoded') return form(decode(raw, charsetOf(type)))
  return raw
}

const rawBody = process.env.RAW_BODY === 'true'

// value returns what a handler gets as the body of a request.
async function value (req) {
  const { headers } = req
  const type = headers['content-type'] || 'text/plain'
  const empty = headers['transfer-encoding'] === undefined && (headers['content-length'] === undefined || headers['content-length'] === '0')
  let raw = none
  if (!empty) {
    const stream = inflated(req)
    const parsed = !rawBody && parse(type, none) !== none
    if (!stream && parsed) throw new BadRequest(415, `the content encoding ${headers['content-encoding']} is not known`)
    const name = rawBody ? 'MAX_RAW_SIZE' : /json\s*(;|$)/i.test(type) ? 'MAX_JSON_SIZE' : ''
    raw = await read(req, limit(name, stream && stream !== req), stream ?? req)
  }
  return rawBody ? raw : parse(type, raw)
}

module.exports = { BadRequest, fields, inflated, value }
