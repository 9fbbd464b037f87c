// The peers by name: which program each is, and how it is told apart from others of the same program.
import { execFileSync } from 'node:child_process'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compile } from './setup.mjs'

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))
const script = (name, params = {}) => ({ command: () => [process.execPath, path(`../peers/${name}.mjs`)], params })

export const waker = [process.execPath, path('waker.mjs')]
export const importTime = [process.execPath, path('import-time.mjs')]

/** The fdwire of another checkout, run by the programs there. */
export const peersOf = (checkout) =>
  Object.fromEntries(
    ['fdwire', 'fdwire-sync'].map((name) => [
      name.replace('-', ' '),
      { command: () => [process.execPath, resolve(checkout, `benchmark/peers/${name}.mjs`)], params: {} },
    ]),
  )

let executable
const python = () => {
  executable ??= execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).trim()
  return [executable, path('../peers/python.py')]
}

/** `specifier` is what a user of the peer imports; `startsServer` means that its client forks its own server. */
export const peers = {
  fdwire: { ...script('fdwire'), specifier: '../../index.js' },
  'fdwire sync': script('fdwire-sync'),
  'C loop': { command: () => [compile(path('../peers/loop.c'))], params: {} },
  Python: { command: python, params: {} },
  net: script('net'),
  'net corked': script('net', { cork: 1 }),
  'child_process json': { ...script('child_process', { serialization: 'json' }), startsServer: true },
  'child_process advanced': { ...script('child_process', { serialization: 'advanced' }), startsServer: true },
  usocket: { ...script('usocket'), specifier: 'usocket' },
  'node-unix-socket': { ...script('node-unix-socket'), specifier: 'node-unix-socket' },
  zeromq: { ...script('zeromq'), specifier: 'zeromq' },
  epoll: { ...script('epoll'), specifier: 'epoll' },
}
