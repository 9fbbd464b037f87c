// What every JavaScript peer program starts with: `<program> server|client <work> key=value...`.
// A server writes "ready" once it can be reached, a client one line of JSON.
import { writeSync } from 'node:fs'

const number = (text) => (text !== '' && Number.isFinite(Number(text)) ? Number(text) : text)

export async function run({ server = {}, client = {} }) {
  const [role, work, ...pairs] = process.argv.slice(2)
  const params = Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      return [pair.slice(0, at), number(pair.slice(at + 1))]
    }),
  )
  if (role === 'server') {
    await server[work](params, () => writeSync(1, 'ready\n'))
  } else {
    const result = await client[work](params)
    writeSync(1, `${JSON.stringify(result)}\n`)
    process.exit()
  }
}
