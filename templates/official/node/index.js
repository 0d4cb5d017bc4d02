'use strict'

// Serves the function on the loopback interface, where the watchdog calls it.

const path = require('node:path')
const { pathToFileURL } = require('node:url')

const life = require('./fnb_life')
const shape = require('./fnb_shape')

// load returns the handler and what is exported beside it: the hooks start, stop
// and ready, and stream.
async function load () {
  const loaded = await import(pathToFileURL(path.join(__dirname, 'function', 'handler.js')).href)
    .catch((err) => {
      // package.json may name another file than handler.js.
      if (err.code !== 'ERR_MODULE_NOT_FOUND' || !/function.handler\.js'/.test(err.message)) throw err
      return { default: require('./function') }
    })
  const handler = typeof loaded.default === 'function' ? loaded.default : (loaded.default?.handler ?? loaded.handler)
  if (typeof handler !== 'function') throw new shape.Refused('function/handler.js exports no function')
  const found = { handler }
  for (const name of ['start', 'stop', 'ready', 'stream']) found[name] = loaded[name] ?? loaded.default?.[name] ?? handler[name]
  return found
}

async function main () {
  const found = await life.patiently('the handler is not loaded', load())
  const callback = shape.told(String(found.handler)) === 'callback'
  const { serve } = callback ? require('./fnb_classic') : require('./fnb_event')
  await life.live(found, (req, res) => serve(found, req, res))
}

module.exports = { load }

if (require.main === module) {
  main().catch((err) => {
    console.error(err instanceof shape.Refused ? `${err.message}\n${shape.accepted}` : shape.syntax(String(err?.stack)) ?? err)
    process.exit(1)
  })
}
