'use strict'

const fs = require('node:fs')
const { setTimeout: wait } = require('node:timers/promises')
const semver = require('semver')

const { CONF_FAIL, CONF_HANG } = process.env

async function hook (name) {
  if (CONF_FAIL === name) throw new Error('secret-text')
  if (CONF_HANG === name) await new Promise(() => {})
}

if (CONF_FAIL === 'load') throw new Error('secret-text')

let started = 'no'

async function * events () {
  yield 'data: one\n\n'
  await wait(400)
  yield 'data: two\n\n'
}

async function * broken () {
  yield 'first\n'
  await wait(50)
  throw new Error('secret-text')
}

module.exports = async (event, context) => {
  const [, route, ...rest] = event.path.split('/')
  const value = rest.join('/')
  const text = (body) => context.headers({ 'Content-Type': 'text/plain; charset=utf-8' }).succeed(body)
  switch (route) {
    case 'echo':
      return context.headers({ 'Content-Type': event.headers['content-type'] }).succeed(event.body)
    case 'json':
      return { a: 1, b: 'ü' }
    case 'status':
      return context.status(Number(value)).succeed()
    case 'header':
      return text(event.headers[value] ?? '')
    case 'cookie':
      return text(event.headers.cookie)
    case 'query':
      return text([event.query[value] ?? []].flat().join('|'))
    case 'path':
      return text(event.path)
    case 'method':
      return text(event.method)
    case 'set-cookies':
      return context.headers({ 'Set-Cookie': ['a=1; Path=/', 'b=2; Path=/'] }).succeed('ok')
    case 'many-headers':
      return text(Object.keys(event.headers).filter((name) => name.startsWith('x-n-')).length)
    case 'stream':
      return context.headers({ 'Content-Type': 'text/event-stream' }).succeed(events())
    case 'upload': {
      let count = 0
      for await (const piece of event.body) count += piece.length
      return text(count)
    }
    case 'first':
      for await (const piece of event.body) return text(piece.toString())
      break
    case 'throw':
      throw new Error('secret-text')
    case 'throw-in-stream':
      return broken()
    case 'unsendable':
      return new Map()
    case 'async':
      await wait(10)
      return text('async')
    case 'started':
      return text(started)
    case 'package':
      return text(String(semver.compare(value, '1.9.0')))
    case 'slow':
      await wait(Number(value))
      return text('slow')
    case 'large':
      return text('x'.repeat(Number(value)))
    case 'body-text':
      return text(event.body)
    case 'form':
      return event.body
  }
  return context.status(404).succeed('there is no such path\n')
}

// The body of an upload is read as it comes.
module.exports.stream = (event) => event.path === '/upload' || event.path === '/first'

module.exports.start = async () => {
  await hook('start')
  started = 'yes'
}

module.exports.ready = async () => {
  await hook('ready')
  return !fs.existsSync('/tmp/not-ready')
}

module.exports.stop = async () => {
  await hook('stop')
  console.error('stopped')
}
