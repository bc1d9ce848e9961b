// npm run test:crash -- --rounds 20 [--scenario kill|read-models-deleted|eventstoredb|postgres|disk-full|all] [--seed 1]
//
// Every scenario with that many rounds, unless one is named. Keeps devices busy on real sockets, does something terrible to the
// server at random moments, and checks at the end through the public API that nothing promised was lost. Prints the seed; the
// same seed makes the same choices again.

import { execFile } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { createApi, expectOk, signIn, signUp } from '../support/device.ts'
import { freePort } from '../support/free-port.ts'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'
import { Actor, type World } from './actor.ts'
import { type Check, checkAll } from './checks.ts'
import { createLedger } from './ledger.ts'
import { createRandom, type Random } from './random.ts'
import { CannotRun, type Scenario, scenarios, type Victim } from './scenarios.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const users = 12
const groups = 3
const groupMembers = 6
/** Follow-up writes of the server (notices of groups) have come by then. */
const quietMs = 3_000
const pollMs = 50
/** Acknowledgements that show that the devices are at work again. */
const busyMessages = 50
const busyMsMax = 60_000

const say = (text: string) => process.stdout.write(`${text}\n`)

interface Running {
  readonly world: World
  /** Those that act, and at the end the one that only sends when it is asked to. */
  readonly actors: readonly Actor[]
}

/** Accounts, two devices for some, partners in a ring, groups with an owner each. */
const populate = async (
  { httpUrl, realtimeUrl }: ServerProcess,
  adminKey: string,
  random: Random,
): Promise<Running> => {
  const names = Array.from({ length: users }, (_, index) => `crash.user${index}`)
  const userIds = (await Promise.all(names.map(name => signUp(httpUrl, name)))).map(({ userId }) => userId)
  const owners = new Map<string, string>()
  const { userId: bannedId } = await signUp(httpUrl, 'crash.banned')
  const world: World = { httpUrl, realtimeUrl, ledger: createLedger(), userIds, owners, adminKey, bannedId }
  const actors: Actor[] = []
  for (const [index, name] of names.entries()) {
    const partners = [index + 1, index + users - 1].map(at => conversationOf(userIds[index], userIds[at % users]))
    const devices = [...(index % 3 === 0 ? ['one', 'two'] : ['one']), ...(index === users - 1 ? ['probe'] : [])]
    for (const device of devices) {
      const session = await signIn(httpUrl, name, device)
      actors.push(new Actor(world, `${name}/${device}`, session, partners, random.fork()))
    }
  }
  const api = createApi(httpUrl)
  for (let index = 0; index < groups; index++) {
    const owner = userIds[index * 4] as string
    const token = await tokenOf(actors, owner)
    const memberIds = userIds.filter(userId => userId !== owner).slice(index, index + groupMembers)
    const inviteeConsent = index === groups - 1 ? 'required' : 'none'
    const body = { name: `group ${index}`, memberIds, inviteMode: 'managers', inviteeConsent }
    owners.set(expectOk(await api('POST', '/v1/groups', { token, body })).groupId, owner)
  }
  return { world, actors }
}

/** By the command that an operator gives, beside the running server. */
const makeAdminKey = async (environment: Readonly<Record<string, string>>): Promise<string> => {
  const parameters = ['--import', 'tsx', 'api/admin-key-command.ts', 'create', '--name', 'crash']
  const env = { PATH: process.env.PATH ?? '', ...environment }
  const { stdout } = await promisify(execFile)(process.execPath, parameters, { env, cwd: root })
  return stdout.trim()
}

const conversationOf = (one = '', other = ''): string => (one < other ? `p2p:${one}:${other}` : `p2p:${other}:${one}`)

const tokenOf = (actors: readonly Actor[], userId: string): Promise<string> => {
  const actor = actors.find(candidate => candidate.userId === userId)
  if (actor === undefined) throw new Error(`nobody acts for ${userId}`)
  return actor.token()
}

const until = async (holds: () => boolean, timeoutMs: number, what: string): Promise<void> => {
  const endMs = Date.now() + timeoutMs
  while (!holds()) {
    if (Date.now() > endMs) throw new Error(`${what} did not happen within ${timeoutMs} ms`)
    await pause(pollMs)
  }
}

const createVictim = (start: () => Promise<ServerProcess>, first: ServerProcess, { world, actors }: Running) => {
  let server = first
  let ended: string | undefined
  const watch = (process: ServerProcess) =>
    void process.exited.then(how => {
      if (server === process) ended = how
    })
  watch(server)
  const { ledger } = world
  const victim: Victim = {
    crash: async between => {
      const dying = server
      server = undefined as never
      await dying.kill()
      await between?.()
      server = await start()
      ended = undefined
      watch(server)
    },
    mustLive: () => {
      if (ended !== undefined)
        throw new Error(`the server ended by itself (${ended}):\n${server.output().slice(-3_000)}`)
    },
    whenRefused: (code, timeoutMs) => {
      const before = ledger.refusals.get(code) ?? 0
      return until(() => (ledger.refusals.get(code) ?? 0) > before, timeoutMs, `the answer ${code}`)
    },
    mustSend: async timeoutMs => {
      const probe = actors.at(-1) as Actor
      const late = pause(timeoutMs).then(() => undefined)
      const sent = await Promise.race([probe.say(conversationOf(world.userIds[0], probe.userId)), late])
      if (sent?.outcome !== 'acknowledged') throw new Error(`a send was not acknowledged within ${timeoutMs} ms`)
    },
  }
  return { victim, server: () => server }
}

/** A last message to everybody, behind everything else, so that it is known when all have heard all. */
const settle = async ({ world, actors }: Running): Promise<string> => {
  await pause(quietMs)
  let last = ''
  for (const actor of actors) {
    const next = world.userIds[(world.userIds.indexOf(actor.userId) + 1) % users]
    await actor.say(conversationOf(actor.userId, next))
  }
  const sent = await Promise.all(actors.map(actor => actor.ask('markRead', markOf(world, actor))))
  for (const answer of sent) if ('ok' in answer && String(answer.ok.position) > last) last = String(answer.ok.position)
  for (const actor of actors) {
    const device = await actor.online()
    const marks = world.ledger.sent.filter(one => one.outcome === 'acknowledged').slice(-actors.length)
    const mine = marks.filter(one => one.conversationId.includes(actor.userId))
    await device.waitFor(
      ({ state }) => mine.every(one => state.collection('messages').has(`${one.conversationId}#${one.seq}`)),
      'the last messages',
    )
  }
  return last
}

const markOf = (world: World, actor: Actor) => {
  const last = world.ledger.sent.findLast(one => one.from === actor.userId && one.outcome === 'acknowledged')
  return { conversationId: last?.conversationId, seq: last?.seq }
}

const acknowledged = ({ world }: Running): number =>
  world.ledger.sent.filter(sent => sent.outcome === 'acknowledged').length

/** Mostly waits until the devices are busy again; now and then the next blow comes while they are still coming back. */
const whenBusy = async (running: Running, random: Random): Promise<void> => {
  await pause(random.between(300, 2_000))
  if (random.chance(0.2)) return
  const from = acknowledged(running)
  await until(() => acknowledged(running) > from + busyMessages, busyMsMax, `${busyMessages} acknowledgements`)
}

const rounds = async (count: number, scenario: Scenario, victim: Victim, random: Random, running: Running) => {
  for (let round = 1; round <= count; round++) {
    await whenBusy(running, random)
    const startMs = Date.now()
    const done = await scenario.fault(victim, random)
    const backMs = Date.now() - startMs
    say(`  round ${round}: ${done}; back after ${backMs} ms; ${acknowledged(running)} messages acknowledged`)
  }
  await whenBusy(running, random)
}

const runScenario = async (name: string, count: number, seed: number): Promise<readonly Check[]> => {
  say(`${name}: ${count} rounds, seed ${seed}`)
  const random = createRandom(seed)
  const scenario = await (scenarios[name] as () => Promise<Scenario>)()
  const ports = { HTTP_PORT: String(await freePort()), REALTIME_PORT: String(await freePort()) }
  const environment = { ...ports, ...scenario.environment, RATE_LIMITS: 'off', LOG_LEVEL: 'warn' }
  const start = () => startServerProcess({ environment })
  const first = await start()
  const running = await populate(first, await makeAdminKey(environment), random)
  const { victim, server } = createVictim(start, first, running)
  const stopping = new AbortController()
  const { ledger } = running.world
  await running.actors.at(-1)?.online()
  const acting = running.actors
    .slice(0, -1)
    .map(actor => actor.act(stopping.signal).catch(error => void ledger.failures.push(String(error?.stack ?? error))))
  let keep = true
  try {
    await rounds(count, scenario, victim, random, running)
    stopping.abort()
    await Promise.all(acting)
    const position = await settle(running)
    const checks = await checkAll(running.world, running.actors, position)
    const refusals = [...ledger.refusals].map(([code, times]) => `${code} ${times}`).join(', ')
    const sends = ledger.sent.length
    say(
      `  ${sends} sends, ${ledger.commands} commands, ${ledger.reconnects} connects, ${ledger.resets} full syncs; ${refusals}`,
    )
    keep = checks.some(({ failures }) => failures.length > 0)
    return checks
  } catch (error) {
    say(server()?.output().slice(-4_000) ?? '')
    throw error
  } finally {
    stopping.abort()
    await server()?.kill()
    await scenario.end(keep)
    if (keep) say(`  left for looking into: ${scenario.dataDir}`)
  }
}

/** @returns how many checks passed and failed; a scenario that cannot run here counts as neither */
const runAll = async (names: readonly string[], count: number, seed: number): Promise<[number, number]> => {
  let passed = 0
  let failed = 0
  for (const name of names) {
    try {
      for (const { name: what, failures } of await runScenario(name, count, seed)) {
        say(`  ${failures.length === 0 ? 'ok  ' : 'FAIL'} ${what}`)
        for (const failure of failures) say(`       ${failure}`)
        if (failures.length === 0) passed++
        else failed++
      }
    } catch (error) {
      if (error instanceof CannotRun) say(`  skipped: ${error.message}`)
      else {
        failed++
        say(`  FAIL ${(error as Error).stack}`)
      }
    }
    if (failed > 0) say(`  again: npm run test:crash -- --rounds ${count} --scenario ${name} --seed ${seed}`)
  }
  return [passed, failed]
}

const main = async (): Promise<boolean> => {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      scenario: { type: 'string', default: 'all' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
    },
  })
  const [count, seed] = [Number(values.rounds), Number(values.seed)]
  const names = values.scenario === 'all' ? Object.keys(scenarios) : [values.scenario]
  const unknown = names.find(name => !(name in scenarios))
  if (unknown !== undefined || !Number.isInteger(count) || count < 1 || !Number.isInteger(seed)) {
    say(`usage: --rounds <number> --scenario <${Object.keys(scenarios).join('|')}|all> --seed <number>`)
    return false
  }
  const [passed, failed] = await runAll(names, count, seed)
  say(`${passed} passed, ${failed} failed`)
  return failed === 0
}

// Servers and databases that were started end with us.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))

process.exit((await main()) ? 0 : 1)
