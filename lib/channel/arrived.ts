import { wrapFd } from '../descriptors/owned-fd.ts'
import type { OwnedFd } from '../descriptors/owned-fd.ts'
import { hot, native } from '../native/binding.ts'
import { descriptorWords, report } from '../native/environment.ts'

const { REPORT_DESCRIPTORS } = native
const { closeDescriptor } = hot

/** A message and the descriptors sent with it, which belong to the receiver. */
export interface Message {
  data: Buffer
  fds: OwnedFd[]
}

/** The descriptors that came with what the native side received last. */
export function ownDescriptors(): OwnedFd[] {
  const count = report[REPORT_DESCRIPTORS] as number
  if (count === 0) return []
  const fds: OwnedFd[] = []
  for (let index = 0; index < count; index++) fds.push(wrapFd(descriptorWords[index] as number))
  return fds
}

/** Closes them; returns how many they were. */
export function closeDescriptors(): number {
  const count = report[REPORT_DESCRIPTORS] as number
  if (count > 0) for (const fd of descriptorWords.subarray(0, count)) closeDescriptor(fd)
  return count
}
