/** Whether there is room on the disk for something new: what is under way needs room to end, and a full disk stops everybody. */
import { statfs } from 'node:fs/promises'
import { Refusal } from '../errors.js'
import { FREE_SPACE_BYTES, FREE_SPACE_FRACTION, FREE_SPACE_PER_FILE_BYTE } from '../limits.js'

export interface Space {
  /** Bytes that the service may write. */
  readonly free: number
  readonly total: number
}

/** Tells of the disk; null where nothing can be said of it. */
export type SpaceOf = () => Promise<Space | null>

/** The disk that `path` is on. */
export function spaceOf(path: string): SpaceOf {
  return async () => {
    // Where files and the database are elsewhere there may be no such directory.
    const found = await statfs(path).catch(() => null)
    return found === null ? null : { free: found.bavail * found.bsize, total: found.blocks * found.bsize }
  }
}

/** How long a caller had better wait until room may have been made. Milliseconds. */
const AGAIN_MS = 60_000

/**
 * Refuses QUOTA_EXCEEDED where too little is free for a file of so many bytes: three times its size, for the file, what it is turned
 * into and what becomes of it in the database; and a tenth of the disk, or, of a large one, FREE_SPACE_BYTES.
 */
export async function requireSpace(spaceNow: SpaceOf, bytes: number): Promise<void> {
  const space = await spaceNow()
  if (space === null) {
    return
  }
  const kept = Math.min(space.total * FREE_SPACE_FRACTION, FREE_SPACE_BYTES)
  if (space.free < Math.max(kept, bytes * FREE_SPACE_PER_FILE_BYTE)) {
    throw new Refusal(
      'QUOTA_EXCEEDED',
      'The disk of the service has too little room for this. Nothing new is taken until its operator has made some; what is under way goes on.',
      null,
      {
        name: 'freeSpace',
        limit: 0,
        used: 0,
        unit: 'bytes',
        windowSeconds: null,
        retryAt: new Date(Date.now() + AGAIN_MS),
      },
    )
  }
}
