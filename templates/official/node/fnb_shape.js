'use strict'

// Tells how a handler is called: (event, context), or (context, callback), which is
// OpenFaaS's classic node. It reads the text of the function. As a program it reads
// it in the handler's source, when the image is built, without running any; what a
// source does not say, index.js asks the function that it has loaded.

const fs = require('node:fs')
const path = require('node:path')

const accepted = `the template node takes one of
    module.exports = async (event, context) => { … }         as OpenFaaS's node12 to node22
    module.exports = (event, context, callback) => { … }     as OpenFaaS's node10-express
    module.exports = (context, callback) => { … }            as OpenFaaS's classic node
For anything else, name OpenFaaS's template in the stack file, such as lang: node22`

class Refused extends Error {}

// told returns 'event' or 'callback' for the text of a function.
function told (text) {
  const names = parameters(text)
  if (!names || names.some((name) => name.startsWith('...'))) return 'event'
  const [first, second] = names
  if (names.length > 1 && /^_?(res|resp|response|reply)$/i.test(second)) {
    throw new Refused(`the handler (${names.join(', ')}) is one of Express, which is OpenFaaS's node10-express-service`)
  }
  if (names.length === 1 && /^_?(config|app)$/.test(first) && /\bapp\b\s*\.\s*(use|get|post|all|put)\s*\(/.test(text)) {
    throw new Refused(`the handler (${first}) sets up Express, as OpenFaaS's node10-express-service has it`)
  }
  if (names.length === 2 && (/^_?(callback|cb|done|next|fn)$/i.test(second) || isCalled(second, text))) return 'callback'
  if (names.length === 1 && first === 'context' && !/\bcontext\s*\??\.\s*(body|headers|method|query|path)\b|\}\s*=\s*context\b/.test(text)) {
    throw new Refused('the handler (context) may mean an event or a body: write (event, context) or (context, callback)')
  }
  return 'event'
}

// A context is no function, so that a parameter which is called is none.
function isCalled (name, text) {
  if (!/^[\w$]+$/.test(name)) return false
  const word = name.replace(/\$/g, '\\$&')
  return new RegExp(`(?<![\\w$.])${word}\\s*\\(`).test(text) && !new RegExp(`(?<![\\w$.])${word}\\s*\\??\\.`).test(text)
}

// parameters returns the names of a function's parameters, or undefined where the
// text is of no function.
function parameters (text) {
  const start = /^\s*(?:async\b\s*)?(?:function\b\s*\*?\s*[\w$]*\s*)?/.exec(text)[0].length
  const single = /^([\w$]+)\s*=>/.exec(text.slice(start))
  if (single) return [single[1]]
  if (text[start] !== '(') return undefined
  const end = closing(text, start)
  if (end < 0 || !/^\s*(\{|=>)/.test(text.slice(end + 1))) return undefined
  const names = []
  let depth = 0
  let name = ''
  for (const c of text.slice(start + 1, end) + ',') {
    if ('([{'.includes(c)) depth++
    if (')]}'.includes(c)) depth--
    if (c === ',' && depth === 0) {
      names.push(name.split('=')[0].trim())
      name = ''
    } else name += c
  }
  return names.filter((name) => name !== '')
}

// closing returns where the bracket at start ends, or -1.
function closing (text, start) {
  let depth = 0
  for (let i = start; i < text.length; i++) {
    if ('([{'.includes(text[i])) depth++
    if (')]}'.includes(text[i]) && --depth === 0) return i
  }
  return -1
}

// code returns a source without what is in comments, strings and regular
// expressions.
function code (source) {
  const pieces = /\/\/[^\n]*|\/\*[^]*?\*\/|'(?:\\[^]|[^'\\\n])*'|"(?:\\[^]|[^"\\\n])*"|`(?:\\[^]|[^`\\])*`|(?<=(?:^|[(,=:[!&|?{};\n]|return)\s*)\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/\w*/g
  return source.replace(pieces, (piece) => piece.startsWith('/') ? ' ' : "''")
}

// exported returns the text of the function that a source exports, '' where it
// exports something else, and undefined where it exports nothing.
function exported (source) {
  const text = code(source)
  if (!/\bexports\b|\bexport\b|\brequire\b|\bimport\b/.test(text)) return undefined
  const places = [...text.matchAll(/\b(?:module\s*\.\s*exports|exports\s*\.\s*handler)\s*=(?![=>])\s*|\bexport\s+default\s+|\bexport\s+(?=(?:async\s+)?function\s+handler\b)|\bexport\s+(?:const|let|var)\s+handler\s*=\s*/g)]
  if (places.length !== 1) return ''
  const rest = text.slice(places[0].index + places[0][0].length)
  const name = /^([A-Za-z_$][\w$]*)\s*(?:;|\n|$)/.exec(rest)
  if (!name) return body(rest)
  const declared = [...text.matchAll(new RegExp(`(?:async\\s+)?\\bfunction\\s+${name[1].replace(/\$/g, '\\$&')}\\s*(?=\\()|\\b(?:const|let|var)\\s+${name[1].replace(/\$/g, '\\$&')}\\s*=\\s*`, 'g'))]
  if (declared.length !== 1) return ''
  const place = declared[0]
  return body(place[0].includes('=') ? text.slice(place.index + place[0].length) : text.slice(place.index))
}

// body cuts off what comes behind the function that text begins with.
function body (text) {
  const open = text.indexOf('{', Math.max(0, closing(text, text.indexOf('('))))
  const end = open < 0 ? -1 : closing(text, open)
  return end < 0 ? text : text.slice(0, end + 1)
}

class Broken extends Error {}

// syntax returns the line of a syntax error, and then what and where it is, for the text that
// node has for it; undefined for another text.
function syntax (text) {
  const [place, line, mark] = text.split('\n')
  const at = /^(?:\S*\/function\/)?([^\s/]\S*:\d+)$/.exec(place)
  const what = /^SyntaxError: (.*)$/m.exec(text)
  return at && what ? [line, mark, `${at[1]}: ${what[1]}`].filter((s) => s.trim() !== '').join('\n') : undefined
}

// parse checks the syntax of a module of either kind.
function parse (source, file, type) {
  const vm = require('node:vm')
  const { wrap } = require('node:module')
  if (type !== 'module') {
    try {
      return new vm.Script(wrap(source.replace(/^#!.*/, '')), { filename: file })
    } catch (err) {
      if (!/^\s*(import|export)\b/m.test(source)) throw new Broken(syntax(String(err.stack)) ?? String(err))
    }
  }
  const { spawnSync } = require('node:child_process')
  const { stderr } = spawnSync(process.execPath, ['--check', '--input-type=module', '-'], { input: source, encoding: 'utf8' })
  const wrong = syntax(stderr.replace('[stdin]', file))
  if (wrong) throw new Broken(wrong)
}

// check looks at the handler in a folder.
function check (folder) {
  const file = path.join(folder, 'handler.js')
  const manifest = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'))
  if (!fs.existsSync(file)) {
    const main = path.join(folder, manifest.main || 'index.js')
    if ([main, main + '.js', main + '.json', path.join(main, 'index.js')].some((name) => fs.existsSync(name))) return
    // What package.json exports or a test stage makes is not looked for.
    if (manifest.exports || fs.existsSync(path.join(folder, 'handler'))) return
    throw new Refused(`there is neither handler.js nor ${manifest.main || 'index.js'}, which is the main of package.json`)
  }
  const source = fs.readFileSync(file, 'utf8')
  parse(source, 'handler.js', manifest.type)
  const text = exported(source)
  if (text === undefined) throw new Refused('handler.js exports nothing')
  // Of the keys that are strings nothing is left in the text.
  if (/^(\{(?![^]*(\bhandler\b|\bdefault\b|\.\.\.|''|\[))|class\b)/.test(text)) throw new Refused('handler.js exports no function')
  if (text) told(text)
}

module.exports = { Refused, accepted, told, exported, syntax }

if (require.main === module) {
  try {
    check(process.argv[2])
  } catch (err) {
    console.error(err instanceof Refused ? `${err.message}\n${accepted}` : err instanceof Broken ? err.message : String(err))
    process.exit(1)
  }
}
