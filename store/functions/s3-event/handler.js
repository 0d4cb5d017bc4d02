'use strict'

const { createHash, timingSafeEqual } = require('node:crypto')
const { readFileSync } = require('node:fs')

const { objectsOf, BadEvent } = require('./events')
const onObject = require('./object')

const SECRET = '/var/openfaas/secrets/s3-event-token'
const LARGEST_BODY = 1 << 20

class Refused extends Error {
  constructor (status, message) {
    super(message)
    this.status = status
  }
}

const hash = text => createHash('sha256').update(text).digest()

function settings (token, buckets = '') {
  token = token.trim()
  if (token.length < 16) throw new Error('the secret s3-event-token has fewer than 16 characters')
  return { token: hash(token), buckets: new Set(buckets.split(',').map(name => name.trim()).filter(Boolean)) }
}

// allowed reports whether a request has the token. Hashes are compared, so that the time
// says nothing of the token, nor of its length.
function allowed (event, { token }) {
  const given = /^Bearer (\S+)$/i.exec(event.headers?.authorization ?? '')?.[1]
  return given !== undefined && timingSafeEqual(hash(given), token)
}

async function read (body) {
  const pieces = []
  let length = 0
  for await (const piece of body) {
    length += piece.length
    if (length > LARGEST_BODY) throw new Refused(413, `the event has more than ${LARGEST_BODY} bytes`)
    pieces.push(piece)
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString())
  } catch {
    throw new Refused(400, 'the body is no JSON')
  }
}

async function take (event, options, handleObject) {
  if (event.method !== 'POST') throw new Refused(405, 'an event is a POST')
  if (!allowed(event, options)) throw new Refused(401, 'the token is missing, or is not the one of this function')
  const objects = objectsOf(await read(event.body))
  const foreign = objects.find(o => options.buckets.size > 0 && !options.buckets.has(o.bucket))
  if (foreign !== undefined) throw new Refused(403, 'the bucket is none of S3_BUCKETS')
  for (const object of objects) await handleObject(object)
  return objects.length
}

function answerer (options, handleObject) {
  return async (event, context) => {
    try {
      return context.status(200).succeed({ taken: await take(event, options(), handleObject) })
    } catch (err) {
      const status = err instanceof Refused ? err.status : err instanceof BadEvent ? 400 : undefined
      if (status === undefined) throw err // which is logged, and a 500: the event comes again
      return context.status(status).succeed({ error: err.message })
    }
  }
}

let ours
module.exports = answerer(() => ours, onObject)
module.exports.start = () => { ours = settings(readFileSync(SECRET, 'utf8'), process.env.S3_BUCKETS) }
module.exports.stream = true
module.exports.parts = { answerer, settings }
