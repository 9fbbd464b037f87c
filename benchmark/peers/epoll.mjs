import { createRequire } from 'node:module'
import { run } from '../lib/program.mjs'
import { Wakeups } from '../lib/wakeups.mjs'

// An ESM import would not see that the addon failed to load until it is used.
const { Epoll } = createRequire(import.meta.url)('epoll')

const wake = (params) =>
  new Promise((resolve) => {
    const wakeups = new Wakeups(params)
    const epoll = new Epoll((error) => {
      if (error) throw error
      if (wakeups.woken()) return
      epoll.close()
      resolve(wakeups.result())
    })
    epoll.add(wakeups.fd, Epoll.EPOLLIN)
  })

await run({ client: { wake } })
