// Owns the embedded Postgres (PGlite) inside its worker thread: wire protocol bytes in, wire protocol bytes out, in order.
// As a program of its own it only makes a new one. Knows nothing of tables or queries, and lets no message overtake another.
// Plain JavaScript, types in comments: tsx does not reach into worker threads, and a loader there would only cost memory.

import { parentPort, workerData } from 'node:worker_threads'
import { PGlite } from '@electric-sql/pglite'

/** PGlite's own start parameters; giving any replaces them all. */
const startParameters = ['--single', '-F', '-O', '-j']
const engineParameters = [
  'search_path=public',
  'exit_on_error=false',
  'log_checkpoints=false',
  'io_method=sync',
  'max_worker_processes=0',
  'max_parallel_workers=0',
  'max_parallel_workers_per_gather=0',
  'max_parallel_maintenance_workers=0',
]

/** @type {import('./pglite-connection.ts').PGliteWorkerData} */
const { folder, settings } = parentPort === null ? JSON.parse(process.argv[2] ?? '') : workerData

const database = await PGlite.create({
  dataDir: folder,
  startParams: [
    ...startParameters,
    ...[...engineParameters, ...settings.map(([name, value]) => `${name}=${value}`)].flatMap(text => ['-c', text]),
  ],
})

/** @type {(request: Uint8Array) => Uint8Array} */
const answer = request => {
  /** @type {Uint8Array[]} */
  const pieces = []
  // Runs to its end before it returns. What its promise still waits for is a file system that needs no syncing; a failure
  // of the engine itself comes out of it as an unhandled rejection and ends the thread, as it should.
  void database.execProtocolRawStream(request, {
    syncToFs: false,
    onRawData: piece => {
      pieces.push(piece.slice())
    },
  })
  return pieces.length === 1 ? /** @type {Uint8Array} */ (pieces[0]) : new Uint8Array(Buffer.concat(pieces))
}

/** @type {(port: import('node:worker_threads').MessagePort, reply: import('./pglite-connection.ts').PGliteReply) => void} */
const reply = (port, message) => {
  if (message.kind === 'bytes') port.postMessage(message, [/** @type {ArrayBuffer} */ (message.bytes.buffer)])
  else port.postMessage(message)
}

/** @type {(port: import('node:worker_threads').MessagePort) => void} */
const serve = port => {
  port.on('message', request => {
    if (request === 'close') void database.close().then(() => reply(port, { kind: 'closed' }))
    else reply(port, { kind: 'bytes', bytes: answer(request) })
  })
  reply(port, { kind: 'open' })
}

if (parentPort === null) await database.close()
else serve(parentPort)
