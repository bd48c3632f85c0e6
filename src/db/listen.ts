import pg from 'pg'

export interface Listener {
  close(): Promise<void>
}

/**
 * Listens on `channels` over one connection of its own. Notifications are hints: after every (re)connection
 * `onConnected` is called, since whatever was sent meanwhile is lost and listeners have to look at the tables again.
 */
export async function listen(options: {
  readonly url: string
  readonly applicationName: string
  readonly channels: readonly string[]
  readonly onNotify: (channel: string, payload: string) => void
  readonly onConnected: () => void
  readonly onError: (error: Error) => void
}): Promise<Listener> {
  let closed = false
  let client: pg.Client | null = null
  let retry: NodeJS.Timeout | null = null

  const connect = async (): Promise<void> => {
    const next = new pg.Client({
      connectionString: options.url,
      application_name: options.applicationName,
      keepAlive: true,
    })
    let ended = false
    const again = (error: Error | null) => {
      if (ended) {
        return
      }
      ended = true
      client = null
      next.end().catch(() => undefined)
      if (closed) {
        return
      }
      if (error !== null) {
        options.onError(error)
      }
      retry = setTimeout(() => {
        connect().catch(options.onError)
      }, RECONNECT_MS)
    }
    next.on('error', again)
    next.on('end', () => again(null))
    next.on('notification', (message) => options.onNotify(message.channel, message.payload ?? ''))
    try {
      await next.connect()
      for (const channel of options.channels) {
        await next.query(`listen ${pg.escapeIdentifier(channel)}`)
      }
    } catch (error) {
      again(error instanceof Error ? error : new Error(String(error)))
      return
    }
    client = next
    options.onConnected()
  }

  await connect()
  return {
    close: async () => {
      closed = true
      if (retry !== null) {
        clearTimeout(retry)
      }
      await client?.end().catch(() => undefined)
    },
  }
}

/** Pause before the next try to connect, in milliseconds: short, because subscribers wait for it. */
const RECONNECT_MS = 250
