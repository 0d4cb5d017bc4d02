// A server of the kind that OpenFaaS's node22 has: express with body-parser.
const express = require('express')
const bodyParser = require('body-parser')

const app = express()
app.use(bodyParser.text({ type: 'text/*' }))
app.use(bodyParser.json())
app.use(bodyParser.raw())
app.disable('x-powered-by')

const handle = async (event, context) => context.status(200).succeed({ method: event.method, body: event.body })

app.use(async (req, res) => {
  let status = 200
  const context = {
    status (code) { status = code; return context },
    succeed (value) { res.status(status).send(value) }
  }
  await handle({ body: req.body, headers: req.headers, method: req.method, query: req.query, path: req.path }, context)
})
app.listen(3000, '127.0.0.1')
