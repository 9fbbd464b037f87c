// Builds nats-server from its Go module into bin/, once. Needs Go; nothing else on this machine changes but Go's caches.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const MODULE = 'github.com/nats-io/nats-server/v2@v2.15.2'
const bin = fileURLToPath(new URL('bin', import.meta.url))

if (!existsSync(`${bin}/nats-server`)) {
  console.log(`building ${MODULE}, which takes a minute`)
  const { error, status } = spawnSync('go', ['install', MODULE], {
    env: { ...process.env, GOBIN: bin },
    stdio: 'inherit',
  })
  if (error) console.error(`go could not be run (${error.code}); install it from https://go.dev/dl/`)
  process.exitCode = status ?? 1
}
