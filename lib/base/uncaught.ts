/** Calls somebody. What that throws is an uncaught exception, and no concern of those that are to be called next. */
export function callUncaught(call: () => unknown): void {
  try {
    call()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
