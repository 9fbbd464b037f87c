// Loaded into every test process: a process warning fails the test file, unless a test listens for warnings itself.
let expected = 0

process.on('warning', (warning) => {
  if (process.listenerCount('warning') <= expected) throw warning
})
expected = process.listenerCount('warning')
