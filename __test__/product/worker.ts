// Starts what is to be pending, says so, and waits for its end.
import { parentPort, workerData } from 'node:worker_threads'
import { turns } from '../support/until.ts'
import { parts } from './rows.ts'
import type { Given } from './table.ts'

const { title, given } = workerData as { title: string; given: Given }
const pending = Object.values(parts)
  .flat()
  .find((row) => row.title === title)
const started = await pending?.start(given, {})
for (const promise of Object.values(started?.promises ?? {})) promise.catch(() => {})
await turns(2)
parentPort?.postMessage({ address: started?.address })
await new Promise(() => {})
