'use strict'

// event has body, headers, method, query and path.
module.exports = async (event, context) => {
  const result = {
    method: event.method,
    body: event.body
  }
  return context
    .status(200)
    .succeed(result)
}
