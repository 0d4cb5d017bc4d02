'use strict'

// Answers requests with (context, callback), each in a process of its own, as
// OpenFaaS's classic node does: what it prints is in the answer, it finds the
// request in variables such as Http_Query, and may exit.

const { spawn } = require('node:child_process')
const { STATUS_CODES } = require('node:http')

function serve (found, req, res) {
  const chunks = []
  let child
  try {
    child = spawn(process.execPath, [__filename], { env: environment(req), stdio: ['pipe', 'pipe', 'inherit'] })
  } catch (err) {
    // The system takes a variable of at most 128 KiB.
    console.error(err.code === 'E2BIG' ? 'the request has a line that is too long for a variable of a process' : err)
    req.resume()
    return send(req, res, err.code === 'E2BIG' ? 431 : 500, [])
  }
  child.stdout.on('data', (chunk) => chunks.push(chunk))
  child.stdin.on('error', () => {}) // a function need not read its body
  req.pipe(child.stdin)
  res.once('close', () => child.kill('SIGKILL'))
  child.on('error', (err) => {
    console.error(err)
    send(req, res, 500, [])
  })
  child.on('close', (code, signal) => {
    if (code !== 0 && !res.destroyed) console.error(`the function ended with ${signal || 'exit code ' + code}`)
    send(req, res, code === 0 ? 200 : 500, chunks)
  })
}

// The content type is as OpenFaaS's classic watchdog has it: what content_type
// says, or else the request's.
function send (req, res, status, chunks) {
  if (res.headersSent || res.destroyed) return
  if (status >= 400 && chunks.length === 0) chunks.push(Buffer.from(`${STATUS_CODES[status]}\n`))
  const body = Buffer.concat(chunks)
  res.statusCode = status
  res.setHeader('content-type', process.env.content_type || req.headers['content-type'] || 'text/plain; charset=utf-8')
  res.setHeader('content-length', body.length)
  res.end(req.method === 'HEAD' ? undefined : body)
}

// A header called Proxy is left out, because programs take Http_Proxy for the
// address of a proxy.
function environment (req) {
  const env = { ...process.env }
  for (const [name, value] of Object.entries(req.headers)) {
    if (name === 'proxy') continue
    env['Http_' + name.split('-').map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join('_')] = String(value)
  }
  const [path, query] = req.url.split(/\?([^]*)/)
  env.Http_Method = req.method
  try {
    env.Http_Path = decodeURIComponent(path).replace(/\0/g, '')
  } catch {
    env.Http_Path = path
  }
  if (query) env.Http_Query = query
  return env
}

// once calls the handler with what is on the standard input. The process ends
// when nothing is left to do.
async function once () {
  const chunks = []
  for await (const chunk of process.stdin) chunks.push(chunk)
  const { handler } = await require('./index').load()
  const callback = (err, value) => {
    if (err) {
      console.error(err)
      process.exitCode = 1
    } else if (Buffer.isBuffer(value) || typeof value === 'string') {
      process.stdout.write(value)
    } else if (value !== undefined && value !== null) {
      process.stdout.write(JSON.stringify(value))
    }
  }
  const result = handler(Buffer.concat(chunks).toString(), callback)
  if (typeof result?.then === 'function') callback(undefined, await result)
}

module.exports = { serve }

if (require.main === module) {
  once().catch((err) => {
    console.error(err)
    process.exitCode = 1
  })
}
