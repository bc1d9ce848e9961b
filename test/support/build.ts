// Owns that the tests which start the server as a process start what the sources say now, not what was built earlier.

import { execFileSync } from 'node:child_process'
import { projectRoot } from './sources.ts'

/** Before all tests, once. */
export const setup = (): void => {
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: projectRoot, stdio: 'inherit' })
}
