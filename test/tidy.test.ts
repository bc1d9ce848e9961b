// Owns the rules that the sources themselves must keep: which room may import what, which package lives where, and the habits
// that no compiler checks. A rule with exceptions names each with its reason; a rule that nobody can keep is changed here first.
// Also holds README.md's tables against what they describe.

import { readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from 'vitest'
import { permissionsTable } from '../api/group-permissions.ts'
import { configurationTable, errorsTable, readmeSection, tableRows } from './support/readme.ts'
import { packageOf, projectFiles, projectRoot, readSources, type Source, sourceOf } from './support/sources.ts'

const sources = readSources()
const files = projectFiles()

/** Lines of what breaks a rule; empty when it is kept. */
const breaches = (of: readonly Source[], find: (source: Source) => readonly string[]): readonly string[] =>
  of.flatMap(source => find(source).map(found => `${source.path}: ${found}`))

/** Where a pattern matches, as `line 12: the line`. */
const matches = (source: Source, text: string, pattern: RegExp): readonly string[] => {
  const lines = source.text.split('\n')
  return [...text.matchAll(new RegExp(pattern, 'gm'))].map(({ index }) => {
    const line = text.slice(0, index).split('\n').length
    return `line ${line}: ${lines[line - 1]?.trim()}`
  })
}

const rooms = ['domain', 'eventstore', 'projections', 'followers', 'api', 'realtime'] as const
type Room = (typeof rooms)[number]
const isRoom = (name: string): name is Room => (rooms as readonly string[]).includes(name)

/** A program of its own, started by an npm script: it reads its arguments and its environment and prints. */
const isEntryPoint = (path: string) => path === 'main.ts' || path.endsWith('-command.ts')

const ofRooms = sources.filter(({ room }) => isRoom(room))
const product = sources.filter(({ path, room }) => isRoom(room) || (room === '' && path !== 'vitest.config.ts'))
const tests = sources.filter(({ room }) => room === 'test')

describe('the rooms', () => {
  /** Imports run one way; api, realtime and followers also call the query functions of projections. */
  const mayImport: Readonly<Record<Room, readonly Room[]>> = {
    domain: ['domain'],
    eventstore: ['domain', 'eventstore'],
    projections: ['domain', 'eventstore', 'projections'],
    followers: ['domain', 'eventstore', 'projections', 'followers'],
    api: ['domain', 'eventstore', 'projections', 'api'],
    realtime: ['domain', 'eventstore', 'projections', 'realtime'],
  }

  /** Of the files in the root, a command in a room may read the configuration, and nothing else may be imported. */
  const mayImportFile = ({ path, room }: Source, target: string): boolean => {
    if (!target.includes('/')) return target === 'config.ts' && isEntryPoint(path)
    const targetRoom = target.slice(0, target.indexOf('/'))
    return isRoom(room) && isRoom(targetRoom) && mayImport[room].includes(targetRoom)
  }

  test('import one way only', () => {
    const found = breaches(ofRooms, source =>
      source.imports
        .filter(imported => imported.startsWith('.'))
        .map(imported => normalize(join(dirname(source.path), imported)).replaceAll('\\', '/'))
        .filter(target => !mayImportFile(source, target))
        .map(target => `imports ${target}`),
    )
    expect(found).toEqual([])
  })

  test('are entered by no other part of the product than the files in the root', () => {
    const found = breaches(product, ({ imports }) => imports.filter(imported => /(^|\/)(test|bench)\//.test(imported)))
    expect(found).toEqual([])
  })

  test('of the domain imports zod and itself, nothing else', () => {
    const domain = sources.filter(({ room }) => room === 'domain')
    const found = breaches(domain, ({ imports }) => imports.filter(name => name !== 'zod' && !name.startsWith('.')))
    expect(found).toEqual([])
  })

  test('of the domain knows no clock and no randomness', () => {
    const domain = sources.filter(({ room }) => room === 'domain')
    const pattern = /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bperformance\.|\bcrypto\.|\bsetTimeout\b|\bfetch\(/
    expect(breaches(domain, source => matches(source, source.code, pattern))).toEqual([])
  })

  test('are the only folders, with the tests, the benches and the documentation', () => {
    const folders = new Set(files.filter(path => path.includes('/')).map(path => path.slice(0, path.indexOf('/'))))
    expect([...folders].filter(name => !name.startsWith('.')).toSorted()).toEqual(
      [...rooms, 'bench', 'docs', 'test'].toSorted(),
    )
  })

  test('have no folder that could hold anything', () => {
    const folder = /(^|\/)(utils?|helpers?|libs?|types|services?|common|core|shared|misc)\//
    expect(files.filter(path => folder.test(path))).toEqual([])
  })

  test('have no barrel', () => {
    expect(files.filter(path => /(^|\/)index\.[cm]?[jt]s$/.test(path))).toEqual([])
  })
})

describe('the packages', () => {
  const manifest: {
    readonly dependencies: Readonly<Record<string, string>>
    readonly devDependencies: Readonly<Record<string, string>>
    readonly scripts: Readonly<Record<string, string>>
  } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'))
  const all = { ...manifest.dependencies, ...manifest.devDependencies }

  /** Where the product may import a package; a package without a row may not be imported at all. */
  const homes: Readonly<Record<string, RegExp>> = {
    zod: /^/,
    pino: /^(?!domain\/)/,
    '@eventstore/db-client': /^eventstore\/eventstoredb[^/]*\.ts$/,
    protobufjs: /^eventstore\/eventstoredb-wire\.ts$/,
    lmdb: /^eventstore\/embedded[^/]*\.ts$/,
    '@electric-sql/pglite': /^projections\//,
    kysely: /^projections\//,
    pg: /^projections\//,
    'pg-copy-streams': /^projections\//,
    'node-cron': /^(projections|followers)\//,
    '@fastify/cors': /^api\//,
    '@fastify/helmet': /^api\//,
    '@fastify/swagger': /^api\//,
    '@fastify/swagger-ui': /^api\//,
    '@node-rs/argon2': /^api\//,
    fastify: /^(api\/|service\.ts$)/,
    'fastify-type-provider-zod': /^api\//,
    jose: /^api\//,
    'libphonenumber-js': /^api\//,
    nodemailer: /^api\/codes\//,
    'uWebSockets.js': /^realtime\//,
    'prom-client': /^(api\/|(metrics|service)\.ts$)/,
  }

  test('are imported where they live, and nowhere else', () => {
    const found = breaches(product, ({ path, imports }) =>
      imports.filter(imported => {
        const name = packageOf(imported)
        return name !== undefined && homes[name]?.test(path) !== true
      }),
    )
    expect(found).toEqual([])
  })

  /** Come with @eventstore/db-client: the stand-in server must speak with the very versions that the client brings. */
  const ofTheStandIn = new Set(['@grpc/grpc-js', 'google-protobuf'])

  test('are all declared', () => {
    const found = breaches(sources, ({ path, room, imports }) =>
      imports.filter(imported => {
        const name = packageOf(imported)
        if (/^test\/support\/[\w-]*stand-in[\w-]*\.ts$/.test(path) && ofTheStandIn.has(name ?? '')) return false
        const declared = room === 'test' || room === 'bench' || room === '' ? all : manifest.dependencies
        return name !== undefined && !Object.hasOwn(declared, name)
      }),
    )
    expect(found).toEqual([])
  })

  /** Used without being imported. */
  const notImported: Readonly<Record<string, string>> = {
    esbuild: 'npm run build',
    tsx: 'runs the commands',
    typescript: 'npm run types',
    '@biomejs/biome': 'npm run lint',
  }

  test('are all used', () => {
    const used = new Set(sources.flatMap(({ imports }) => imports.map(packageOf)))
    const idle = Object.keys(all).filter(
      name => !used.has(name) && !Object.hasOwn(notImported, name) && !name.startsWith('@types/'),
    )
    expect(idle).toEqual([])
  })

  test('that are said not to be imported are not', () => {
    const used = new Set(sources.flatMap(({ imports }) => imports.map(packageOf)))
    expect(Object.keys(notImported).filter(name => used.has(name) || !Object.hasOwn(all, name))).toEqual([])
  })

  test('of the product are used by the product', () => {
    const used = new Set(product.flatMap(({ imports }) => imports.map(packageOf)))
    const idle = Object.keys(manifest.dependencies).filter(name => !used.has(name) && !Object.hasOwn(notImported, name))
    expect(idle).toEqual([])
  })

  test('have exact versions', () => {
    const loose = Object.entries(all).filter(([, version]) => !/^(npm:[\w.-]+@)?\d+\.\d+\.\d+$/.test(version))
    expect(loose).toEqual([])
  })

  test('have each a row in README.md, with its version and licence, and every row has its package', () => {
    const rows = tableRows(readmeSection('Dependencies')).map(([name, version, licence, reason]) => {
      expect(reason, `${name}: why`).toMatch(/\S/)
      return { name, version, licence }
    })
    /** The licence file of the package is Apache-2.0; its package.json says otherwise. */
    const licences: Readonly<Record<string, string>> = { 'uWebSockets.js': 'Apache-2.0' }
    const expected = Object.entries(all).map(([name, version]) => {
      const { license } = JSON.parse(readFileSync(join(projectRoot, 'node_modules', name, 'package.json'), 'utf8'))
      return { name, version: version.replace(/^npm:.*@/, ''), licence: licences[name] ?? license }
    })
    const byName = (one: { readonly name?: string | undefined }, other: { readonly name?: string | undefined }) =>
      (one.name ?? '') < (other.name ?? '') ? -1 : 1
    expect(rows.toSorted(byName)).toEqual(expected.toSorted(byName))
  })

  test('have scripts that run files that exist', () => {
    const named = Object.values(manifest.scripts).flatMap(script => script.match(/[\w./-]+\.[cm]?[jt]s\b/g) ?? [])
    const isBuilt = (path: string) => manifest.scripts.build?.includes(` ${path.replace(/^dist\/(.*)\.js$/, '$1.ts')} `)
    expect(named.filter(path => !files.includes(path) && !isBuilt(path))).toEqual([])
  })

  test('are started in the image, and in README.md, as npm start does it', () => {
    const { start } = manifest.scripts
    const dockerfile = readFileSync(join(projectRoot, 'Dockerfile'), 'utf8')
    expect(dockerfile).toContain(`\nCMD ${JSON.stringify(start?.split(' ')).replaceAll(',', ', ')}\n`)
    expect(readFileSync(join(projectRoot, 'README.md'), 'utf8')).toContain(`\`${start}\``)
  })

  test('and rooms of the product are let into the image, and nothing of the tests', () => {
    const allowed = readFileSync(join(projectRoot, '.dockerignore'), 'utf8').split('\n')
    for (const room of rooms) expect(allowed).toContain(`!${room}`)
    expect(allowed).toContain('!*.ts')
    expect(allowed.filter(line => /^!(test|bench|data|\.env|node_modules)/.test(line))).toEqual([])
  })
})

describe('README.md', () => {
  test('lists every variable as config.ts has it', () => {
    expect(tableRows(readmeSection('Configuration'))).toEqual(tableRows(configurationTable()))
  })

  test('lists every code of an error as api/errors.ts has it', () => {
    expect(tableRows(readmeSection('Errors'))).toEqual(tableRows(errorsTable()))
  })

  test('says who may do what in a group as domain/group/permissions.ts has it', () => {
    expect(tableRows(readmeSection('Who may do what in a group'))).toEqual(tableRows(permissionsTable()))
  })

  test('names only scripts that exist', () => {
    const text = readFileSync(join(projectRoot, 'README.md'), 'utf8')
    const { scripts } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'))
    const named = [...text.matchAll(/npm run (?:--silent )?([\w:-]+)/g)].map(([, name]) => name ?? '')
    expect(named.filter(name => !Object.hasOwn(scripts, name))).toEqual([])
  })

  test.each(['README.md', 'CONTRIBUTING.md'])('%s links only to files that exist', name => {
    const text = readFileSync(join(projectRoot, name), 'utf8')
    const linked = [...text.matchAll(/\]\((?!https?:|#)(?<path>[^)#\s]+)/g)].map(({ groups }) => groups?.path ?? '')
    expect(linked.filter(path => !files.some(file => file === path || file.startsWith(`${path}/`)))).toEqual([])
  })
})

describe('the sources', () => {
  test('open with a comment of up to six lines that says what the file owns', () => {
    const found = breaches(sources, ({ text, room }) => {
      const lines = text.replace(/^#!.*\n/, '').split('\n')
      const length = lines.findIndex(line => !line.startsWith('//'))
      // A bench says there as well what it should come to, reckoned before it was measured.
      const most = room === 'bench' ? 12 : 6
      return length >= 1 && length <= most ? [] : [`${length} lines`]
    })
    expect(found).toEqual([])
  })

  /** Longer than the rest, up to 500 lines, because what belongs side by side would be torn apart. */
  const longer: Readonly<Record<string, string>> = {
    'test/eventstore/handle.test.ts': 'every way an append can end, on one stand-in store',
    'test/eventstore/sends.test.ts': 'every way a send can be repeated, on one clock',
  }

  test('have at most 400 lines each', () => {
    const found = breaches(sources, ({ path, text }) => {
      const lines = text.split('\n').length - 1
      return lines <= (Object.hasOwn(longer, path) ? 500 : 400) ? [] : [`${lines} lines`]
    })
    expect(found).toEqual([])
    expect(Object.keys(longer).filter(path => !files.includes(path))).toEqual([])
  })

  test.each([
    ['enums', /^\s*(export\s+)?(declare\s+)?(const\s+)?enum\s+\w/],
    ['namespaces', /^\s*(export\s+)?(declare\s+)?(namespace|module)\s+[\w$]/],
    ['decorators', /^\s*@\w/],
    ['abstract classes', /\babstract\s+class\b/],
    // Node asks for streams to be made this way, and errors have no other.
    ['classes under another than Error or a stream', /\bclass\s+\w+(<[^>]*>)?\s+extends\s+(?!Error\b|Duplex\b)/],
  ])('have no %s', (_what, pattern) => {
    expect(breaches(sources, source => matches(source, source.code, pattern))).toEqual([])
  })

  test('silence neither the compiler nor the linter without saying why', () => {
    const found = breaches(sources, source => {
      const suppressed = /\/[/*]\s*(@ts-(ignore|expect-error|nocheck)(?!:? \w+ \w+)|biome-ignore [\w/]+:?\s*$)/
      return source.path === 'test/tidy.test.ts' ? [] : matches(source, source.text, suppressed)
    })
    expect(found).toEqual([])
  })

  test('leave nothing for later', () => {
    const words = new RegExp(
      `\\b(${['TO', 'FIX', 'HA', 'XX'].map((start, at) => start + ['DO', 'ME', 'CK', 'X'][at]).join('|')})\\b`,
    )
    expect(breaches(sources, source => matches(source, source.text, words))).toEqual([])
  })

  test('print only where printing is their work', () => {
    const silent = sources.filter(
      ({ path, room }) => room !== 'bench' && !isEntryPoint(path) && !path.startsWith('test/crash/'),
    )
    expect(breaches(silent, source => matches(source, source.code, /\bconsole\./))).toEqual([])
  })

  test('read the environment only where a program starts', () => {
    const closed = product.filter(({ path }) => !isEntryPoint(path))
    expect(breaches(closed, source => matches(source, source.code, /\bprocess\.env\b/))).toEqual([])
  })
})

describe('the tests', () => {
  test('are all run', () => {
    const only = /\b(test|it|describe|suite)(\.\w+)*\.only\b/
    expect(breaches(tests, source => matches(source, source.code, only))).toEqual([])
  })

  test('say why where one is left out', () => {
    const found = breaches(tests, source => {
      const lines = source.text.split('\n')
      const left = matches(source, source.code, /\b(test|it|describe|suite)(\.\w+)*\.(skip|skipIf|runIf|todo)\b/)
      return left.filter(found => {
        const line = Number(/^line (\d+)/.exec(found)?.[1])
        return !lines.slice(Math.max(0, line - 3), line).some(text => text.includes('//'))
      })
    })
    expect(found).toEqual([])
  })

  /** Time itself is under test, or is what ends a wait that failed. */
  const timeMarker = /\/\/ time: \w+/

  test('never sleep; a wait with a deadline lives in test/support', () => {
    const waiting = tests.filter(({ path }) => !/^test\/(support|crash)\//.test(path))
    const found = breaches(waiting, source => {
      const lines = source.text.split('\n')
      const sleeping = matches(source, source.code, /\b(setTimeout|setInterval|sleep|delay)\s*\(/)
      return sleeping.filter(found => {
        const line = Number(/^line (\d+)/.exec(found)?.[1])
        return !lines.slice(Math.max(0, line - 3), line).some(text => timeMarker.test(text))
      })
    })
    expect(found).toEqual([])
  })
})

describe('these rules', () => {
  const example = sourceOf(
    'api/example.ts',
    [
      "import { a } from './a.ts' // import { b } from './b.ts'",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: source text as an example
      "const text = `import { c } from './c.ts' ${await import('./d.ts')} // not a comment`",
      "const pattern = /['`{]/ // enum Wrong {}",
      'const half = 4 / 2 /* console. */ + 1 / 3',
      "type E = import('./e.ts').E",
    ].join('\n'),
  )

  test('see imports and regular expressions, and only those', () => {
    expect(example.imports).toEqual(['./a.ts', './d.ts', './e.ts'])
    expect(example.regExps).toEqual(["/['`{]/"])
  })

  test('see code, not words in comments or strings', () => {
    expect(example.code).toHaveLength(example.text.length)
    expect(example.code).not.toMatch(/enum|console|not a comment/)
    expect(example.code).toContain('const half = 4 / 2')
    expect(example.code).toContain('+ 1 / 3')
  })

  test('see the whole project', () => {
    for (const room of rooms) expect(sources.filter(source => source.room === room).length, room).toBeGreaterThan(1)
    for (const { code, path } of sources) {
      expect(code.split('{').length, `braces of ${path}`).toBe(code.split('}').length)
    }
  })
})
