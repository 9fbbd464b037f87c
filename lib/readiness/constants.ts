import { native } from '../native/binding.ts'

type Name =
  | `EPOLL${'IN' | 'PRI' | 'OUT' | 'ERR' | 'HUP' | 'RDNORM' | 'RDBAND' | 'WRNORM' | 'WRBAND' | 'MSG' | 'RDHUP'}`
  | `EPOLL${'EXCLUSIVE' | 'WAKEUP' | 'ONESHOT' | 'ET'}`
  | `POLL${'IN' | 'PRI' | 'OUT' | 'ERR' | 'HUP' | 'NVAL' | 'RDNORM' | 'RDBAND' | 'WRNORM' | 'WRBAND'}`
  | `KQ_FILTER_${'READ' | 'WRITE' | 'AIO' | 'VNODE' | 'PROC' | 'SIGNAL' | 'TIMER' | 'USER'}`
  | `KQ_EV_${'ADD' | 'DELETE' | 'ENABLE' | 'DISABLE' | 'ONESHOT' | 'CLEAR' | 'SYSFLAGS' | 'FLAG1' | 'EOF' | 'ERROR'}`
  | `KQ_NOTE_${'LOWAT' | 'DELETE' | 'WRITE' | 'EXTEND' | 'ATTRIB' | 'LINK' | 'RENAME' | 'REVOKE'}`
  | `KQ_NOTE_${'EXIT' | 'FORK' | 'EXEC' | 'PCTRLMASK' | 'PDATAMASK' | 'TRACK' | 'TRACKERR' | 'CHILD'}`
  | `KQ_NOTE_${'TRIGGER' | 'FFNOP' | 'FFAND' | 'FFOR' | 'FFCOPY' | 'FFCTRLMASK' | 'FFLAGSMASK'}`

/**
 * The numbers of this operating system's masks, filters and flags: all of the `POLL...`, `EPOLL...`, `KQ_FILTER_...`,
 * `KQ_EV_...` and `KQ_NOTE_...` constants of Python's `select` module, under the same names.
 */
export interface ReadinessConstants extends Readonly<Record<Name, number>> {
  /** Linux and FreeBSD. */
  readonly POLLRDHUP?: number
  /** Linux. */
  readonly POLLMSG?: number
}

/**
 * Masks of {@link Epoll} (`EPOLLIN`) and {@link Poll} (`POLLIN`), filters and flags of {@link Kqueue} (`KQ_FILTER_READ`).
 * All of them are positive; those of a mechanism that is missing here are there too.
 */
export const constants: ReadinessConstants = Object.freeze(native.readinessConstants()) as ReadinessConstants & object
