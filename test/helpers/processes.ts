/** Workers and APIs as processes of the real build, so that they can be killed, frozen and replaced. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))

/** A process that dies before it was ready is replaced after this, as the supervisor does; any other one at once. */
const RESTART_MS = 200

/** Last lines of output that are kept to tell what went wrong. */
const LINES_KEPT = 200

export type Settings = Readonly<Record<string, string>>

/** One process with a role. Dies with the process that started it. */
export class RoleProcess {
  readonly name: string
  readonly startedAt = Date.now()
  /** Resolves when everything is open; rejects if the process ends before. */
  readonly ready: Promise<void>
  /** Resolves, with its time, when a worker has its slot and works. Never rejects. */
  readonly working: Promise<number>
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  readonly #process: ChildProcess
  readonly #lines: string[] = []
  #ended = false
  #isReady = false
  #works = false

  /** `options`: what Node is started with besides; `main`: another build; `launcher`: a command that starts Node elsewhere. */
  constructor(
    name: string,
    settings: Settings,
    options: readonly string[] = [],
    main: string = MAIN,
    launcher: readonly string[] = [],
  ) {
    const [execPath = process.execPath, ...rest] = launcher
    const before = launcher.length === 0 ? [] : [...rest, process.execPath]
    this.name = name
    this.#process = fork(main, [name], {
      env: {
        ...(process.env.PATH === undefined ? {} : { PATH: process.env.PATH }),
        PORTAGE_SUPERVISED: 'true',
        ...settings,
      },
      execPath,
      execArgv: [...before, '--enable-source-maps', ...options],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    const child = this.#process
    const ready = Promise.withResolvers<void>()
    const working = Promise.withResolvers<number>()
    this.ready = ready.promise
    this.working = working.promise
    this.ready.catch(() => undefined)
    this.exited = once(child, 'exit').then(([code, signal]) => {
      this.#ended = true
      ready.reject(new Error(`${name} ended before it was ready:\n${this.output}`))
      return { code: code as number | null, signal: signal as NodeJS.Signals | null }
    })
    child.on('message', (message: { readonly type?: string }) => {
      if (message.type === 'ready') {
        this.#isReady = true
        ready.resolve()
      }
    })
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) {
        createInterface(stream).on('line', (line) => {
          this.#lines.push(line)
          this.#lines.splice(0, this.#lines.length - LINES_KEPT)
          if (line.includes('"msg":"working"')) {
            this.#works = true
            working.resolve(Date.now())
          }
        })
      }
    }
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  get ended(): boolean {
    return this.#ended
  }

  /** True from when it has its slot until it ends. */
  get works(): boolean {
    return this.#works && !this.#ended
  }

  get isReady(): boolean {
    return this.#isReady && !this.#ended
  }

  get output(): string {
    return this.#lines.join('\n')
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  /** Says something to it, if it is there. */
  send(message: object): void {
    if (this.#process.connected) {
      this.#process.send(message, () => undefined)
    }
  }

  /** Asks it to end in order, and answers how it ended. */
  async stop(): Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }> {
    this.signal('SIGTERM')
    return this.exited
  }
}

/** Workers of one slot, kept alive like a supervisor does: one works, the others wait. */
export class Crew {
  readonly #settings: Settings
  readonly #options: readonly string[]
  readonly #main: string
  readonly #members: (RoleProcess | null)[]
  readonly #changed = new Set<() => void>()
  #stopping = false
  #count = 0
  /** Everything that processes that ended by themselves have said last. */
  readonly losses: string[] = []
  /** Ends that nobody caused: neither `kill` nor `stop`. */
  readonly #killed = new WeakSet<RoleProcess>()

  constructor(size: number, settings: Settings, options: readonly string[] = [], main: string = MAIN) {
    this.#options = options
    this.#main = main
    this.#settings = { PORTAGE_ROLE: 'worker', PORTAGE_WORKER_SLOT: 'local', PORTAGE_LOG_LEVEL: 'info', ...settings }
    this.#members = Array.from({ length: size }, () => null)
    for (let place = 0; place < size; place++) {
      this.#start(place)
    }
  }

  #start(place: number): void {
    if (this.#stopping) {
      return
    }
    const member = new RoleProcess(`worker-${place + 1}`, this.#settings, this.#options, this.#main)
    this.#count += 1
    this.#members[place] = member
    let wasReady = false
    member.ready.then(
      () => {
        wasReady = true
        this.#tell()
      },
      () => undefined,
    )
    void member.working.then(() => this.#tell())
    void member.exited.then(async ({ code, signal }) => {
      this.#members[place] = null
      if (!this.#killed.has(member) && !this.#stopping) {
        this.losses.push(
          `${member.name} (${member.pid}) ended by itself, code ${code}, signal ${signal}\n${member.output}`,
        )
      }
      this.#tell()
      if (!wasReady) {
        await pause(RESTART_MS)
      }
      this.#start(place)
    })
  }

  #tell(): void {
    for (const look of this.#changed) {
      look()
    }
  }

  /** Resolves with what `find` makes of the crew, looking again whenever somebody gets ready, to work or ends. */
  async #once<T>(find: () => T | null): Promise<T> {
    return new Promise((resolve) => {
      const look = () => {
        const found = find()
        if (found !== null) {
          this.#changed.delete(look)
          resolve(found)
        }
      }
      this.#changed.add(look)
      look()
    })
  }

  /** What those who live have said last. */
  get output(): string {
    return this.#members
      .flatMap((member) => (member === null ? [] : [`${member.name} ${member.pid}:\n${member.output}`]))
      .join('\n')
  }

  /** Processes started so far. */
  get started(): number {
    return this.#count
  }

  /** The one that works, when there is one. */
  async active(): Promise<RoleProcess> {
    return this.#once(() => this.#members.find((member) => member?.works === true) ?? null)
  }

  /** Whether somebody who does not work yet could at once. */
  get standbyReady(): boolean {
    return this.#members.some((member) => member !== null && member.isReady && !member.works)
  }

  /** Resolves when somebody works and everybody else is ready to. */
  async complete(): Promise<void> {
    await this.active()
    for (const member of this.#members) {
      await member?.ready.catch(() => undefined)
    }
  }

  /** Kills a process with SIGKILL and answers when: the clock right before. */
  kill(member: RoleProcess): number {
    this.#killed.add(member)
    const at = Date.now()
    member.signal('SIGKILL')
    return at
  }

  /** From now on the end of this process is no surprise. */
  expect(member: RoleProcess): void {
    this.#killed.add(member)
  }

  /** Those who live. */
  get members(): readonly RoleProcess[] {
    return this.#members.filter((member) => member !== null)
  }

  /** Ends everybody, frozen or not. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(
      this.#members.map(async (member) => {
        if (member !== null) {
          member.signal('SIGCONT')
          member.signal('SIGTERM')
          const patience = setTimeout(() => member.signal('SIGKILL'), 10_000)
          await member.exited
          clearTimeout(patience)
        }
      }),
    )
  }
}
