// What node's starter answers, by Node's own server without a watchdog.
const http = require('node:http')

http.createServer(async (req, res) => {
  const chunks = []
  for await (const chunk of req) chunks.push(chunk)
  const body = JSON.stringify({ method: req.method, body: Buffer.concat(chunks).toString() })
  res.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
  res.end(body)
}).listen(8080, '127.0.0.1')
