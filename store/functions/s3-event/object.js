'use strict'

// onObject is called for each object, one after the other. Write here what is to happen.
// An event may come more than once, and not in order: the sequencer tells which is later.
// The key is text that somebody else has chosen: no path of a file, and no part of a command.
module.exports = async function onObject ({ bucket, key, event, size }) {
  console.error(JSON.stringify({ bucket, key, event, size }))
}
