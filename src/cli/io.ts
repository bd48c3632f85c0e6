/** What a command sees of the terminal. One object, so that tests can be the terminal. */
import { createInterface } from 'node:readline/promises'

export interface Io {
  /** A line of the answer: standard output. */
  out(line: string): void
  /** A part of a long answer, with its own line ends: resolves when more may come. */
  write(text: string): Promise<void>
  /** A line about the answer: standard error. */
  note(line: string): void
  /** Replaces the status line of a terminal; empty takes it away. Nothing where there is no terminal. */
  status(line: string): void
  /** Asks a person. Null: there is none. */
  ask(question: string): Promise<string | null>
  /** Whether a person is there to see and answer. */
  readonly interactive: boolean
  /** Aborted when the person has had enough (Ctrl-C). */
  readonly signal: AbortSignal
}

/** The terminal that this process was started from. */
export function processIo(): Io {
  const { stdin, stdout, stderr } = process
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  let shown = false
  const clear = () => {
    if (shown) {
      stderr.write('\r\u001b[2K')
      shown = false
    }
  }
  return {
    out: (line) => {
      clear()
      stdout.write(`${line}\n`)
    },
    write: (text) => {
      clear()
      return new Promise((resolve) => {
        stdout.write(text, () => resolve())
      })
    },
    note: (line) => {
      clear()
      stderr.write(`${line}\n`)
    },
    status: (line) => {
      if (!stderr.isTTY) {
        return
      }
      clear()
      if (line !== '') {
        stderr.write(line.slice(0, Math.max(20, stderr.columns - 1)))
        shown = true
      }
    },
    ask: async (question) => {
      if (!stdin.isTTY || !stderr.isTTY) {
        return null
      }
      clear()
      const lines = createInterface({ input: stdin, output: stderr })
      lines.on('SIGINT', () => stop.abort())
      // Ctrl-D: the person is there, and says nothing.
      const closed = new Promise<string>((resolve) => lines.once('close', () => resolve('')))
      try {
        return await Promise.race([lines.question(question, { signal: stop.signal }), closed])
      } finally {
        lines.close()
      }
    },
    interactive: stdin.isTTY && stderr.isTTY,
    signal: stop.signal,
  }
}

/** Text from a file or a server without what could move the cursor or rename the window. */
export function clean(text: string): string {
  // Control characters are what is looked for.
  // oxlint-disable-next-line eslint/no-control-regex
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, ' ')
}

const formatter = new Intl.NumberFormat('en-US')

/** With thousands separators. */
export function number(value: number): string {
  return formatter.format(value)
}

/** `1 row`, `2 rows`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`
}

/** `850 B`, `1.4 GB`, in steps of 1,000. */
export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let index = 0
  let scaled = value
  while (scaled >= 1000 && index < units.length - 1) {
    scaled /= 1000
    index += 1
  }
  return `${index === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${units[index]}`
}

/** `0.4 s`, `12 s`, `3 min 5 s`, `2 h 4 min`. */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000
  if (seconds < 10) {
    return `${seconds.toFixed(1)} s`
  }
  const whole = Math.round(seconds)
  if (whole < 60) {
    return `${whole} s`
  }
  const minutes = Math.floor(whole / 60)
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** Lines of a table whose columns are as wide as their widest cell. Numbers (by `right`) stand to the right. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, index) => {
      widths[index] = Math.max(widths[index] ?? 0, cell.length)
    })
  }
  return rows.map((row) =>
    row
      .map((cell, index) =>
        right.includes(index) ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  )
}
