'use strict'

// Letters that Unicode does not take apart into a plain one and an accent.
const PLAIN = { ß: 'ss', æ: 'ae', œ: 'oe', ø: 'oe', å: 'aa', đ: 'd', ð: 'd', þ: 'th', ł: 'l', ı: 'i' }

function slugify (text, max) {
  const words = text.toLowerCase()
    .replace(/[ßæœøåđðþłı]/g, letter => PLAIN[letter])
    .normalize('NFKD').replace(/\p{M}/gu, '')
    .replace(/['’]/g, '')
    .split(/[^a-z0-9]+/).filter(word => word !== '')
  let slug = ''
  for (const word of words) {
    const longer = slug === '' ? word : `${slug}-${word}`
    if (longer.length > max) break
    slug = longer
  }
  // One word that is too long is cut.
  return slug === '' && words.length > 0 ? words[0].slice(0, max) : slug
}

module.exports = async (event, context) => {
  const max = event.query?.max === undefined ? Infinity : Number(event.query.max)
  context = context.headers({ 'Content-Type': 'text/plain; charset=utf-8' })
  if (!(max >= 1)) return context.status(400).succeed('max is not a number from 1\n')
  const body = typeof event.body === 'string' ? event.body : ''
  const slug = slugify(body, max)
  if (slug === '') return context.status(422).succeed('the text has no letter or digit for a name\n')
  return context.status(200).succeed(slug + '\n')
}
