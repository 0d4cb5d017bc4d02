'use strict'

// The life of a function: its hook start, the server, and its hook stop.

const http = require('node:http')

const second = 1000

// patiently waits for a promise, and says every ten seconds that it still does.
async function patiently (what, promise) {
  const begun = Date.now()
  const timer = setInterval(() => console.error(`${what} after ${Math.round((Date.now() - begun) / second)} s`), 10 * second)
  try {
    return await promise
  } finally {
    clearInterval(timer)
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
// says 1ms.
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
  return 30 * second
}

// tellReady answers the watchdog, which alone asks for this path.
async function tellReady (hook, res) {
  let ready = true
  try {
    ready = (await hook?.()) !== false
    if (!ready) console.error('ready: the function says that it is not')
  } catch (err) {
    ready = false
    console.error('ready:', err)
  }
  res.writeHead(ready ? 200 : 503, { 'content-length': 0 })
  res.end()
}

// end runs the hook stop, and ends the process.
async function end (hook) {
  if (!hook) process.exit(0)
  const timer = setTimeout(() => {
    console.error('stop has not returned after 10 s')
    process.exit(1)
  }, 10 * second)
  try {
    await hook()
  } catch (err) {
    console.error('stop:', err)
    process.exit(1)
  }
  clearTimeout(timer)
  process.exit(0)
}

// live serves requests with answer(req, res) until SIGTERM, and answers those under
// way to their end. hooks has start, stop and ready, each of which may be missing.
async function live (hooks, answer) {
  for (const name of ['start', 'stop', 'ready']) {
    if (hooks[name] !== undefined && typeof hooks[name] !== 'function') throw new TypeError(`the handler exports ${name}, which is no function`)
  }
  if (hooks.start) await patiently('start has not returned', hooks.start())

  let closing = false
  // The watchdog decides how large headers, how old connections and how slow
  // requests may be.
  const server = http.createServer({ maxHeaderSize: 1 << 20, keepAliveTimeout: 0, requestTimeout: 0 }, (req, res) => {
    if (closing) res.once('close', () => setImmediate(() => server.closeIdleConnections()))
    if (req.url === '/_/ready') tellReady(hooks.ready, res)
    else answer(req, res)
  })
  server.maxHeadersCount = 0

  const close = () => {
    if (closing) return
    closing = true
    server.close(() => end(hooks.stop))
    // A connection is idle a moment after its answer was sent.
    setInterval(() => server.closeIdleConnections(), 50)
  }
  let timer
  process.on('SIGINT', close)
  process.on('SIGTERM', () => {
    if (timer) return close()
    timer = setTimeout(close, pause())
  })
  server.on('error', (err) => {
    console.error(err)
    process.exit(1)
  })
  server.listen(port(), '127.0.0.1')
}

module.exports = { live, patiently }
