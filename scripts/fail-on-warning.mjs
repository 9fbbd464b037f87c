// Loaded into every test process: a process warning fails the test file, unless a test listens for warnings itself.
let expected = 0

/** A test that leaves something to be collected says nothing of the package, and when that happens is anybody's guess. */
const leaks = new Set(['FDWIRE_CONNECTION_LEAK', 'FDWIRE_LISTENER_LEAK'])

process.on('warning', (warning) => {
  if (process.listenerCount('warning') <= expected && !leaks.has(warning.code)) throw warning
})
expected = process.listenerCount('warning')
