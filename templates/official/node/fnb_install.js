'use strict'

// Installs the packages of a function while its image is made, with the package
// manager whose lock is there. Neither this nor a package manager is in the image.
//
//   node fnb_install.js install MANAGER MEMBER [dev] [flat]
//   node fnb_install.js scripts MANAGER MEMBER [dev]
//   node fnb_install.js lock MANAGER MEMBER
//
// It makes the folder function, and for the member of a workspace the folder
// workspace, in which function leads to MEMBER. The life-cycle scripts of the function's
// own package.json are not run while packages are installed, but by themselves, when the
// handler is there; those that patch packages, right behind.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const [, , what, manager, member, ...flags] = process.argv
const dev = flags.includes('dev')
const locking = what === 'lock'
const flat = flags.includes('flat')
const root = path.resolve(member === '.' ? 'function' : 'workspace')
const own = [...new Set([root, path.join(root, member)])]
const tools = '/fnb/tools'

class Failed extends Error {}

function run (command, args, env = {}) {
  const { status, signal, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } })
  if (status !== 0) throw new Failed(`${path.basename(command)} ${args.join(' ')}: ${error?.message ?? (signal || `exit code ${status}`)}`)
}

function read (name) {
  try {
    return fs.readFileSync(path.join(root, name), 'utf8')
  } catch (err) {
    if (err.code !== 'ENOENT') throw err
    return undefined
  }
}

// tool finds the program of a package manager in its folder, of which only one
// platform's is there.
function tool (folder, ...places) {
  const found = places.map((place) => path.join(tools, folder, 'node_modules', place)).find((place) => fs.existsSync(place))
  if (!found) throw new Failed(`${manager} is not published for this platform, ${process.platform} ${process.arch}`)
  return found
}

const registry = process.env.NPM_CONFIG_REGISTRY
const within = member === '.' ? [] : [`./${member}`]

// classic tells yarn 1 from later ones.
function classic () {
  const lock = read('yarn.lock')
  if (lock !== undefined) return !/^__metadata:/m.test(lock)
  return !/^yarn@([2-9]|[1-9]\d)/.test(JSON.parse(read('package.json') ?? '{}').packageManager ?? '')
}

// What fnb lock says of versions: before when they must be published, how old they are then,
// and of which packages they may be younger.
const before = process.env.PUBLISHED_BEFORE
const reviewed = (process.env.REVIEWED_PACKAGES ?? '').split(' ').filter(Boolean)
const minutes = before && Math.ceil((process.env.LOCKED_AT * 1000 - Date.parse(before)) / 60000)

const youngest = {
  npm () {
    if (reviewed.length === 0) return [`--before=${before}`]
    const { stdout } = spawnSync('npm', ['--version'], { encoding: 'utf8' })
    const [major, minor] = stdout.split('.').map(Number)
    if (major < 11 || (major === 11 && minor < 17)) throw new Failed(`npm ${stdout.trim()} lets no single package be younger than the policy says: npm 11.17 does`)
    return [`--min-release-age=${Math.ceil(minutes / 1440)}`, ...reviewed.map((name) => `--min-release-age-exclude=${name}`)]
  },

  // Versions that the lock has were looked at by somebody, and pnpm would refuse them.
  pnpm () {
    const pinned = (read('pnpm-lock.yaml') ?? '').matchAll(/^ {2}'?(@?[^@\s']+@[^(:\s']+)'?:/gm)
    process.env.pnpm_config_minimum_release_age_exclude = JSON.stringify([...reviewed, ...new Set([...pinned].map((m) => m[1]))])
    return [`--config.minimum-release-age=${minutes}`, '--config.minimum-release-age-strict=true']
  },

  bun () {
    if (reviewed.length) throw new Failed('bun is told by bunfig.toml alone which packages may be younger than the policy says: minimumReleaseAgeExcludes in [install]')
    return [`--minimum-release-age=${minutes * 60}`]
  }
}

const installers = {
  npm () {
    if (locking) return run('npm', ['install', '--package-lock-only', '--ignore-scripts', ...(before ? youngest.npm() : [])])
    const locked = read('package-lock.json') !== undefined || read('npm-shrinkwrap.json') !== undefined
    const args = locked ? ['ci'] : ['install', '--no-package-lock']
    if (!dev) args.push('--omit=dev')
    if (within.length) args.push(`--workspace=${within[0]}`, '--include-workspace-root')
    run('npm', args)
  },

  pnpm () { // of a workspace, only the members that are wanted are there
    const args = ['install']
    if (locking) args.push('--lockfile-only', '--no-frozen-lockfile', '--ignore-scripts', ...(before ? youngest.pnpm() : []))
    else args.push(read('pnpm-lock.yaml') !== undefined ? '--frozen-lockfile' : '--no-lockfile', ...(dev ? [] : ['--prod']))
    run(tool('pnpm', '@pnpm/exe.linux-x64/pnpm', '@pnpm/exe.linux-arm64/pnpm'), [
      ...args, '--config.package-import-method=copy', '--config.store-dir=/root/.local/share/pnpm/store',
      '--config.manage-package-manager-versions=false', '--config.pm-on-fail=ignore', ...(flat ? ['--config.node-linker=hoisted'] : [])
    ])
  },

  yarn () {
    if (classic()) {
      if (locking && before) throw new Failed('Yarn 1 cannot be told how old versions must be: Yarn 4.10 can')
      const args = [tool('yarn', 'yarn/bin/yarn.js'), 'install', '--non-interactive', '--no-progress', `--production=${!dev && !locking}`]
      args.push(locking ? '--ignore-scripts' : read('yarn.lock') !== undefined ? '--frozen-lockfile' : '--no-lockfile')
      return run('node', args, { YARN_CACHE_FOLDER: '/root/.cache/yarn', YARN_IGNORE_PATH: '1', ...(registry && { YARN_REGISTRY: registry }) })
    }
    const yarn = tool('yarn-berry', '@yarnpkg/cli-dist/bin/yarn.js')
    const env = {
      YARN_NODE_LINKER: 'node-modules', YARN_IGNORE_PATH: '1', YARN_ENABLE_TELEMETRY: '0', YARN_ENABLE_PROGRESS_BARS: '0',
      YARN_GLOBAL_FOLDER: '/root/.yarn/berry', YARN_ENABLE_GLOBAL_CACHE: String(!fs.existsSync(path.join(root, '.yarn/cache'))),
      ...(registry && { YARN_NPM_REGISTRY_SERVER: registry }),
      ...(locking && before && { YARN_NPM_MINIMAL_AGE_GATE: String(minutes), YARN_NPM_PREAPPROVED_PACKAGES: reviewed.join(', ') })
    }
    if (locking) {
      const update = () => run('node', [yarn, 'install', '--mode=update-lockfile', '--no-immutable'], env)
      const [file, settings] = [path.join(root, '.yarnrc.yml'), read('.yarnrc.yml')]
      update()
      if (read('.yarnrc.yml') === settings) return
      // The lock was of an older Yarn, for which settings were written that a build has not.
      if (settings === undefined) fs.rmSync(file)
      else fs.writeFileSync(file, settings)
      return update()
    }
    const locked = read('yarn.lock') !== undefined
    // What is for development is in the lock too, and is compared with it.
    if (locked) run('node', [yarn, 'install', '--immutable', ...(dev ? [] : ['--mode=skip-build'])], env)
    else if (dev) run('node', [yarn, 'install', '--no-immutable'], env)
    if (!dev) run('node', [yarn, 'workspaces', 'focus', '--production', ...workspaceNames()], { ...env, YARN_ENABLE_IMMUTABLE_INSTALLS: String(locked) })
  },

  bun () {
    const args = ['install', '--linker=hoisted', '--no-progress']
    if (locking) {
      args.push('--lockfile-only', '--ignore-scripts', '--save-text-lockfile', ...(before ? youngest.bun() : []))
    } else {
      args.push(['bun.lock', 'bun.lockb'].some((name) => read(name) !== undefined) ? '--frozen-lockfile' : '--no-save')
      if (!dev) args.push('--production')
      if (within.length) args.push(`--filter=${within[0]}`)
    }
    run(tool('bun', '@oven/bun-linux-x64-baseline/bin/bun', '@oven/bun-linux-aarch64/bin/bun'), args,
      { BUN_INSTALL_CACHE_DIR: '/root/.bun/install/cache', ...(registry && { BUN_CONFIG_REGISTRY: registry }) })
  }
}

function workspaceNames () {
  return within.length ? [JSON.parse(read(path.join(member, 'package.json'))).name] : []
}

const hooks = ['preinstall', 'install', 'postinstall', 'prepublish', 'preprepare', 'prepare', 'postprepare']

// withoutScripts calls f while the function's own package.json files have no life-cycle
// scripts, so that a package manager runs those of packages, by its own rules, alone.
function withoutScripts (f) {
  const saved = []
  for (const dir of own) {
    const file = path.join(dir, 'package.json')
    if (!fs.existsSync(file)) continue
    const text = fs.readFileSync(file, 'utf8')
    const manifest = JSON.parse(text)
    saved.push([file, text])
    for (const name of hooks) delete manifest.scripts?.[name]
    fs.writeFileSync(file, JSON.stringify(manifest, undefined, 2))
  }
  try {
    f()
  } finally {
    for (const [file, text] of saved) fs.writeFileSync(file, text)
  }
}

// clean removes what package managers leave beside packages, with times and places in it.
function clean (locks) {
  for (const dir of members()) {
    const modules = path.join(dir, 'node_modules')
    for (const name of ['.package-lock.json', '.modules.yaml', '.pnpm-workspace-state.json', '.pnpm-workspace-state-v1.json', '.yarn-integrity', '.yarn-state.yml', '.cache']) {
      fs.rmSync(path.join(modules, name), { recursive: true, force: true })
    }
  }
  fs.rmSync(path.join(root, '.yarn/install-state.gz'), { force: true })
  for (const name of locks) fs.rmSync(path.join(root, name), { force: true })
}

// members are all folders with a package.json and packages of their own.
function members (dir = root) {
  const found = [dir]
  for (const d of fs.readdirSync(dir, { withFileTypes: true })) {
    if (d.isDirectory() && d.name !== 'node_modules' && d.name !== '.yarn') found.push(...members(path.join(dir, d.name)))
  }
  return found
}

const commands = (script) => script.split('&&').map((command) => command.trim())
const patches = (command) => /^(?:npx\s+)?patch-package\b/.test(command)

// early are the scripts that patch packages, which need no more than what is installed
// from; late are all others of the function's own package.json, which have the handler.
// What prepare does otherwise is for development and publishing, and what husky does.
function early (scripts) {
  const all = []
  for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) {
    const found = commands(scripts[name] ?? '').filter(patches)
    if (found.length) all.push([name, found.join(' && ')])
  }
  return all
}

function late (scripts) {
  const all = []
  for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) {
    if (commands(scripts[name] ?? '').every((command) => command === '' || patches(command))) continue
    if (dev || (name !== 'prepare' && !/^husky\b/.test(scripts[name]))) all.push([name, scripts[name]])
    else console.log(`the script ${name} of package.json is not run, since it is for development: ${scripts[name]}`)
  }
  return all
}

// runScripts runs those scripts of the package.json in a folder that choose returns, and
// tells how many.
function runScripts (dir, choose) {
  const file = path.join(dir, 'package.json')
  if (!fs.existsSync(file)) return 0
  const manifest = JSON.parse(fs.readFileSync(file, 'utf8'))
  const npmrc = path.join(dir, '.npmrc')
  if (fs.existsSync(npmrc) && /^\s*ignore-scripts\s*=\s*true\b/m.test(fs.readFileSync(npmrc, 'utf8'))) return 0
  const chosen = choose(manifest.scripts ?? {})
  for (const [name, script] of chosen) {
    console.log(`> ${name}: ${script}`)
    const { status, signal } = spawnSync(script, {
      cwd: dir,
      shell: true,
      stdio: 'inherit',
      env: {
        ...process.env,
        PATH: [...own.map((folder) => path.join(folder, 'node_modules/.bin')).reverse(), process.env.PATH].join(':'),
        INIT_CWD: dir,
        npm_lifecycle_event: name,
        npm_lifecycle_script: script,
        npm_package_json: file,
        npm_package_name: manifest.name ?? '',
        npm_package_version: manifest.version ?? '',
        npm_config_user_agent: `${manager}/0 npm/? node/${process.version} ${process.platform} ${process.arch}`
      }
    })
    if (status !== 0) throw new Failed(`the script ${name} of package.json failed (${signal || `exit code ${status}`}): ${script}`)
  }
  return chosen.length
}

// scripts runs the late ones, and copies the files that they made or changed to the
// folder out.
function scripts () {
  const begun = Date.now()
  if (runScripts(own.at(-1), late) === 0 || dev) return
  const changed = (dir) => {
    for (const d of fs.readdirSync(dir, { withFileTypes: true })) {
      const file = path.join(dir, d.name)
      if (d.isDirectory()) changed(file)
      else if (fs.lstatSync(file).ctimeMs >= begun) fs.cpSync(file, path.join('out', path.relative('.', file)), { verbatimSymlinks: true })
    }
  }
  changed(root)
}

// wantsPackages tells whether there is anything to install, without asking a registry
// about what is for development.
function wantsPackages () {
  if (dev || member !== '.') return true
  const manifest = JSON.parse(read('package.json') ?? '{}')
  const kinds = ['dependencies', 'optionalDependencies', 'peerDependencies']
  return kinds.some((kind) => Object.keys(manifest[kind] ?? {}).length > 0) || locks.some((name) => read(name) !== undefined)
}

const locks = ['package-lock.json', 'npm-shrinkwrap.json', 'pnpm-lock.yaml', 'yarn.lock', 'bun.lock', 'bun.lockb']

function begin () {
  fs.cpSync('/fnb/packages', root, { recursive: true, verbatimSymlinks: true })
  if (member !== '.') fs.symlinkSync(path.join('workspace', member), 'function')
  if (!Object.hasOwn(installers, manager)) throw new Failed(`packages cannot be installed by ${manager}`)
}

// lock makes the lock of the package manager, and leaves it in the folder lock.
function lock () {
  begin()
  installers[manager]()
  const name = { npm: read('npm-shrinkwrap.json') !== undefined ? 'npm-shrinkwrap.json' : 'package-lock.json', pnpm: 'pnpm-lock.yaml', yarn: 'yarn.lock', bun: 'bun.lock' }[manager]
  if (read(name) === undefined) throw new Failed(`${manager} made no ${name}: does its configuration switch locks off, as package-lock=false in .npmrc does?`)
  fs.mkdirSync('lock')
  fs.copyFileSync(path.join(root, name), path.join('lock', name))
}

function install () {
  begin()
  const made = locks.filter((name) => read(name) === undefined)
  if (wantsPackages()) withoutScripts(installers[manager])
  fs.mkdirSync(path.join(root, 'node_modules'), { recursive: true })
  for (const dir of own) runScripts(dir, early)
  clean(made)
}

try {
  process.env.HUSKY = '0'
  process.env.CI = 'true'
  const steps = { install, scripts, lock }
  steps[what]()
} catch (err) {
  if (!(err instanceof Failed)) throw err
  console.error(err.message)
  process.exit(1)
}
