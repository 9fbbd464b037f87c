import test from 'ava'
import { report } from './support/program.ts'

test('memory of large messages is used again only when nothing of a message is in use', async (t) => {
  const { intact, outlived, mebibytes } = await report<{ intact: boolean; outlived: boolean; mebibytes: number }>(
    t,
    'pooled-memory.ts',
    [],
    { nodeOptions: ['--expose-gc'] },
  )
  t.true(intact)
  t.true(outlived)
  // 850 messages of 512 KiB; the hundred that are kept take 50 MiB, the pool 32.
  t.true(mebibytes < 350, `${mebibytes} MiB`)
})

// ArrayBuffer.prototype.transfer() comes with Node 22, and by this flag with Node 20.
const nodeOptions = 'transfer' in ArrayBuffer.prototype ? [] : ['--harmony-rab-gsab-transfer']

test('memory that was transferred to another thread outlives the end of the thread that it is from', async (t) => {
  const result = await report<object>(t, 'memory-outlives-worker.ts', [], { nodeOptions })
  t.deepEqual(result, { intact: true, touched: true, others: 8 })
})
