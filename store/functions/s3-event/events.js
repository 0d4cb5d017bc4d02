'use strict'

const MOST_OBJECTS = 1000

class BadEvent extends Error {}

// objectsOf are the objects that a notification is about: of S3 and what speaks like it
// (MinIO, Ceph, Garage), or of EventBridge.
function objectsOf (message) {
  if (message?.Event === 's3:TestEvent') return [] // a bucket sends one when it learns of the function
  const records = message?.detail ? [fromEventBridge(message)] : message?.Records
  if (!Array.isArray(records)) throw new BadEvent('the body is no event of a bucket')
  if (records.length > MOST_OBJECTS) throw new BadEvent(`the event has more than ${MOST_OBJECTS} objects`)
  return records.map(objectOf)
}

function fromEventBridge ({ 'detail-type': type, detail }) {
  return { eventName: type, s3: { bucket: detail.bucket, object: { ...detail.object, key: encodeURIComponent(detail.object?.key ?? '') } } }
}

function objectOf (record) {
  const { bucket, object } = record?.s3 ?? {}
  const found = {
    event: record?.eventName,
    bucket: bucket?.name,
    key: decoded(object?.key),
    size: object?.size ?? null,
    etag: object?.eTag ?? object?.etag ?? null,
    version: object?.versionId ?? object?.['version-id'] ?? null,
    sequencer: object?.sequencer ?? null
  }
  for (const name of ['event', 'bucket', 'key']) {
    const value = found[name]
    if (typeof value !== 'string' || value === '' || value.length > 1024) throw new BadEvent(`an object of the event has no ${name}`)
  }
  return found
}

// decoded is a key as it is in the bucket: an event has it as a form would.
function decoded (key) {
  try {
    return typeof key === 'string' ? decodeURIComponent(key.replaceAll('+', ' ')) : undefined
  } catch {
    throw new BadEvent('a key of the event is not encoded as it must be')
  }
}

module.exports = { objectsOf, BadEvent }
