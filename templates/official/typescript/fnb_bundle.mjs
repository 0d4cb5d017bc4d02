// Makes one file of the handler, the packages that it imports and the server, while
// the function's image is made: out/function/index.mjs, and its source map.
//
// A package that finds files or modules by itself when it runs (native modules,
// __dirname, require of a variable) cannot be in it. It is copied with all that it
// depends on, to out/packages. package.json names further ones: "fnb": {"external": […]}.

import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'

const { build } = createRequire('/fnb/tools/esbuild/')('esbuild')

const debug = process.argv[2] === 'debug' // the source map is in the file, with the sources
const out = path.resolve('out')
const folder = fs.realpathSync('function')
const byItself = /\b__dirname\b|\b__filename\b|\bimport\.meta\b|\brequire\.resolve\b|\bcreateRequire\b|\b(?:require|import)\s*\((?!\s*(?:["'`][^"'`$]*["'`]\s*\)|\)))|\.node\b["'`]/

// packageOf returns the folder of the installed package that a file is of.
function packageOf (file) {
  const parts = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)(?:\/|$)/.exec(file)
  return parts?.[1]
}

function manifestOf (dir) {
  try {
    return JSON.parse(fs.readFileSync(path.join(dir, 'package.json'), 'utf8'))
  } catch (err) {
    if (err.code !== 'ENOENT') throw err
    return {}
  }
}

const handlers = ['handler.ts', 'handler.mts', 'handler.tsx', 'handler.js', 'handler.mjs']
const handler = handlers.map((name) => path.join(folder, name)).find((file) => fs.existsSync(file))
if (!handler) {
  console.error(`there is no ${handlers[0]}, whose default export is the function`)
  process.exit(1)
}

const named = manifestOf(folder).fnb?.external ?? []
const external = new Set() // folders of packages that are not bundled

// The import of a package that is not bundled is by its name where the image has it in
// the same place, and otherwise by its file.
const leave = {
  name: 'leave',
  setup (b) {
    b.onResolve({ filter: /^fnb:handler$/ }, () => ({ path: handler }))
    b.onResolve({ filter: /^[^./]/ }, async (args) => {
      if (args.pluginData === leave || args.kind === 'entry-point' || args.path === 'fnb:handler') return undefined
      const name = /^(?:@[^/]+\/)?[^/]+/.exec(args.path)[0]
      const found = await b.resolve(args.path, { kind: args.kind, importer: args.importer, resolveDir: args.resolveDir, pluginData: leave })
      if (found.errors.length > 0 || found.external) return found.external ? found : undefined
      const dir = packageOf(found.path)
      if (dir === undefined) return found
      if (named.includes(name)) external.add(dir)
      if (!external.has(dir)) return found
      const top = place(dir)
      return { path: top === `node_modules/${name}` ? args.path : './' + path.join(top, path.relative(dir, found.path)), external: true }
    })
  }
}

// place is where the image has a package: as it is installed, below the function's
// folder or the workspace's.
function place (dir) {
  return dir.slice(dir.indexOf('/node_modules/') + 1)
}

function bundle () {
  return build({
    entryPoints: ['fnb_main.js'],
    outfile: 'function/index.mjs', // what the image has; the source map's paths begin there
    write: false,
    bundle: true,
    metafile: true,
    sourcemap: debug ? 'inline' : 'linked',
    sourcesContent: debug,
    platform: 'node',
    format: 'esm',
    target: `node${process.versions.node}`,
    banner: { js: "import { createRequire as fnbRequire } from 'node:module'; const require = fnbRequire(import.meta.url);" },
    logLevel: 'silent',
    plugins: [leave]
  })
}

// settle bundles until no package is in the bundle that cannot be.
async function settle () {
  for (;;) {
    const before = external.size
    let made, failure
    try {
      made = await bundle()
      for (const file of Object.keys(made.metafile.inputs)) {
        const dir = packageOf(path.resolve(file))
        if (dir && byItself.test(fs.readFileSync(file, 'utf8'))) external.add(dir)
      }
    } catch (err) {
      if (!err.errors) throw err
      failure = err
      for (const { location } of err.errors) {
        const dir = location && packageOf(path.resolve(location.file))
        if (dir) external.add(dir)
      }
    }
    if (external.size === before) {
      if (failure) throw failure
      return made
    }
  }
}

const copied = new Set()

// copy takes a package into the image, and all that it depends on.
function copy (dir) {
  if (copied.has(dir)) return
  copied.add(dir)
  fs.cpSync(dir, path.join(out, 'packages', place(dir)), {
    recursive: true,
    verbatimSymlinks: true,
    filter: (file) => file === dir || path.basename(file) !== 'node_modules'
  })
  const { dependencies, optionalDependencies, peerDependencies } = manifestOf(dir)
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
    for (let at = dir; at !== '/'; at = path.dirname(at)) {
      const found = path.join(at, 'node_modules', name)
      if (!fs.existsSync(found)) continue
      copy(found)
      break
    }
  }
}

// assets takes the handler's files that are no source: what it reads when it runs.
function assets (dir = folder) {
  for (const d of fs.readdirSync(dir, { withFileTypes: true })) {
    const file = path.join(dir, d.name)
    if (d.name.startsWith('.') || d.name === 'node_modules') continue
    if (d.isDirectory()) assets(file)
    else if (!/\.(?:[cm]?[jt]sx?|map|lock|lockb)$|^(?:package(?:-lock)?|tsconfig.*|npm-shrinkwrap)\.json$|^pnpm-.*\.yaml$|\.md$/.test(d.name)) {
      fs.cpSync(file, path.join(out, 'function', path.relative(folder, file)), { verbatimSymlinks: true })
    }
  }
}

const words = ({ text, location }) => location ? `${location.file}:${location.line}:${location.column + 1}: ${text}` : text

fs.rmSync(out, { recursive: true, force: true })
fs.mkdirSync(path.join(out, 'function'), { recursive: true })
fs.mkdirSync(path.join(out, 'packages'))
try {
  const { outputFiles, warnings } = await settle()
  for (const w of warnings) console.error(words(w))
  for (const f of outputFiles) fs.writeFileSync(path.join(out, 'function', path.basename(f.path)), f.contents)
} catch (err) {
  if (!err.errors) throw err
  for (const e of err.errors) console.error(words(e))
  process.exit(1)
}
for (const dir of external) copy(dir)
for (const dir of [...external].map(place).sort()) console.log(`beside the bundle: ${dir}`)
assets()
