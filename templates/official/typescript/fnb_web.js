'use strict'

// Calls a handler of the web's shape: a Request in, a Response out.
//
// Node's own Request and Response make a stream of each body and take longer than
// the rest of a request. So what a handler gets is a Request that becomes Node's when
// a handler asks for more than its method, URL, headers and whole body, and new
// Response(text) is one that becomes Node's when somebody reads it. Both are of Node's
// classes for instanceof, and Node's Request and fetch take them.

const { Readable } = require('node:stream')

const { kind, sendFailure, sendResponse, setHeaders } = require('./fnb_stream')

const NodeRequest = globalThis.Request
const NodeResponse = globalThis.Response
const nodeFetch = globalThis.fetch

const used = () => new TypeError('the body of the Request has been read already')

class IncomingRequest {
  #in
  #out
  #url
  #headers
  #stop
  #node
  #used = false

  constructor (req, res) {
    this.#in = req
    this.#out = res
  }

  get method () {
    return this.#in.method
  }

  get url () {
    return this.#url ??= address(this.#in)
  }

  get headers () {
    return this.#headers ??= headersOf(this.#in)
  }

  // aborted when the caller goes away before it has its answer.
  get signal () {
    if (!this.#stop) {
      this.#stop = new AbortController()
      const gone = () => {
        if (!this.#out.writableFinished) this.#stop.abort()
      }
      if (this.#out.destroyed) gone()
      else this.#out.once('close', gone)
    }
    return this.#stop.signal
  }

  get bodyUsed () {
    return this.#node ? this.#node.bodyUsed : this.#used
  }

  // node returns Node's own Request.
  node () {
    if (this.#node) return this.#node
    if (this.#used) throw used()
    const init = { method: this.method, headers: this.headers, signal: this.signal }
    if (hasBody(this.#in)) Object.assign(init, { body: Readable.toWeb(this.#in), duplex: 'half' })
    this.#node = new NodeRequest(this.url, init)
    return this.#node
  }

  async #whole () {
    if (this.#used) throw used()
    this.#used = true
    const req = this.#in
    if (!hasBody(req)) return Buffer.alloc(0)
    return new Promise((resolve, reject) => {
      const chunks = []
      req.on('data', (chunk) => chunks.push(chunk))
      req.on('end', () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)))
      req.on('error', reject)
    })
  }

  async text () {
    if (this.#node) return this.#node.text()
    const raw = await this.#whole()
    return raw[0] === 0xef && raw[1] === 0xbb && raw[2] === 0xbf ? raw.toString('utf8', 3) : raw.toString()
  }

  async json () {
    return JSON.parse(await this.text())
  }

  async arrayBuffer () {
    if (this.#node) return this.#node.arrayBuffer()
    const raw = await this.#whole()
    return raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.byteLength)
  }

  async bytes () {
    return new Uint8Array(await this.arrayBuffer())
  }
}

function hasBody ({ method, headers }) {
  if (method === 'GET' || method === 'HEAD') return false
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] !== undefined && headers['content-length'] !== '0')
}

function address ({ headers, url }) {
  const target = url.startsWith('/') ? url : '/'
  try {
    return new URL(`http://${headers.host || 'localhost'}`).origin + new URL(`http://localhost${target}`).href.slice('http://localhost'.length)
  } catch {
    return new URL(`http://localhost${target}`).href
  }
}

function headersOf (req) {
  const headers = new Headers()
  for (const name of Object.keys(req.headers)) {
    for (const value of [req.headers[name]].flat()) headers.append(name, value)
  }
  return headers
}

class TextResponse {
  #body
  #init
  #headers
  #node

  constructor (body, init) {
    this.#body = body
    this.#init = init
    if (init?.headers) this.#headers = new Headers(init.headers)
  }

  get status () {
    return this.#init?.status ?? 200
  }

  get headers () {
    if (this.#node) return this.#node.headers
    this.#headers ??= new Headers()
    if (typeof this.#body === 'string' && !this.#headers.has('content-type')) this.#headers.set('content-type', text)
    return this.#headers
  }

  // node returns Node's own Response.
  node () {
    if (!this.#node) this.#node = new NodeResponse(this.#body, { ...this.#init, headers: this.headers })
    return this.#node
  }

  // send writes the answer, if it is as it was made.
  send (req, res) {
    if (this.#node) return false
    if (this.#headers) {
      setHeaders(res, this.headers)
    } else if (typeof this.#body === 'string') {
      res.setHeader('content-type', text)
    }
    const { status } = this
    res.statusCode = status
    if (status !== 204 && status !== 304 && status !== 205 && !res.hasHeader('content-length')) {
      res.setHeader('content-length', this.#body === null ? 0 : Buffer.byteLength(this.#body))
    }
    res.end(req.method === 'HEAD' || this.#body === null ? undefined : this.#body)
    return true
  }
}

const text = 'text/plain;charset=UTF-8'

// become makes objects of a class pass for those of Node's, and asks Node's for what
// the class does not have.
function become (Class, Node) {
  for (const name of Object.getOwnPropertyNames(Node.prototype)) {
    if (name === 'constructor' || Object.hasOwn(Class.prototype, name)) continue
    const { value, get } = Object.getOwnPropertyDescriptor(Node.prototype, name)
    const property = { configurable: true, enumerable: true }
    if (get) property.get = function () { return this.node()[name] }
    else if (typeof value === 'function') property.value = function (...args) { return this.node()[name](...args) }
    else property.value = value
    Object.defineProperty(Class.prototype, name, property)
  }
  delete Class.prototype.constructor // which is Node's then
  Object.setPrototypeOf(Class.prototype, Node.prototype)
}

const nodes = (value) => value instanceof IncomingRequest || value instanceof TextResponse ? value.node() : value

// replace puts a class into the place of Node's global one, which it makes objects of
// but where make returns another.
function replace (name, Node, make) {
  const Global = {
    [name]: function (input, init) {
      if (new.target === Global) {
        const made = make(input, init)
        if (made) return made
      }
      return Reflect.construct(Node, [nodes(input), init].slice(0, arguments.length), new.target ?? Node)
    }
  }[name]
  Object.setPrototypeOf(Global, Node)
  Object.defineProperty(Global, 'length', { value: Node.length })
  Global.prototype = Node.prototype
  Object.defineProperty(Node.prototype, 'constructor', { value: Global, writable: true, configurable: true })
  Object.defineProperty(globalThis, name, { value: Global, writable: true, configurable: true })
  return Global
}

// textResponse is new Response(body, init) of a text, bytes or nothing.
function textResponse (body, init) {
  if (body === undefined) body = null
  if (body !== null && typeof body !== 'string' && !(body instanceof Uint8Array)) return undefined
  const status = init?.status
  if (init !== undefined && (init === null || typeof init !== 'object' || init.statusText !== undefined)) return undefined
  if (status !== undefined && !(Number.isInteger(status) && status >= 200 && status <= 599)) return undefined
  if (body !== null && (status === 204 || status === 205 || status === 304)) return undefined
  if (body instanceof Uint8Array) body = body.slice()
  return new TextResponse(body, init)
}

function install () {
  become(IncomingRequest, NodeRequest)
  become(TextResponse, NodeResponse)
  replace('Request', NodeRequest, () => undefined)
  const Response = replace('Response', NodeResponse, textResponse)
  Response.json = function json (data, init) {
    const body = JSON.stringify(data)
    if (body === undefined || arguments.length === 0) return NodeResponse.json(...arguments)
    const headers = new Headers(init?.headers)
    if (!headers.has('content-type')) headers.set('content-type', 'application/json')
    return new Response(body, { ...init, headers })
  }
  globalThis.fetch = function fetch (input, init) {
    return nodeFetch(nodes(input), init)
  }
}

// serve answers a request with handle(request).
async function serve (handle, req, res) {
  try {
    const response = await handle(new IncomingRequest(req, res))
    if (response instanceof TextResponse && response.send(req, res)) return
    if (!(response instanceof NodeResponse)) throw new TypeError(`the handler's answer is of the type ${kind(response)}: it must be a Response`)
    await sendResponse(req, res, response)
  } catch (err) {
    if (req.destroyed && !req.complete) return // the caller has gone
    sendFailure(req, res, err)
  }
}

module.exports = { install, serve }
