import type { constants } from 'node:os'

/** The numbers of the system's errors by their names, positive. */
export const errno: typeof constants.errno = process.getBuiltinModule('node:os').constants.errno
