'use strict'

// Serves the function on the loopback interface, where the watchdog calls it.

const life = require('./fnb_life')
const web = require('./fnb_web')

web.install() // before the handler's modules are loaded

// run serves the handler whose module load returns, until the function ends.
async function run (load) {
  const module = await life.patiently('the handler is not loaded', load())
  const exported = module.default
  // An app of a framework, such as Hono's, has its handler as fetch.
  const handle = typeof exported === 'function' ? exported : exported?.fetch?.bind(exported)
  if (typeof handle !== 'function') throw new TypeError('handler.ts exports no function: write export default (request: Request) => new Response(…)')
  await life.live(module, (req, res) => web.serve(handle, req, res))
}

module.exports = {
  main (load) {
    run(load).catch((err) => {
      console.error(err)
      process.exit(1)
    })
  }
}
