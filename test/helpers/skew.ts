/** Loaded into a process of a test with `--import`: its clock is wrong by so many milliseconds. */

/** What Node is to be started with. */
export function skewArguments(milliseconds: number): string[] {
  const url = new URL(import.meta.url)
  url.search = new URLSearchParams({ ms: String(milliseconds) }).toString()
  return ['--import', url.href]
}

const shift = Number(new URL(import.meta.url).searchParams.get('ms') ?? 0)

if (shift !== 0) {
  const Right = Date
  const wrongNow = () => Right.now() + shift
  globalThis.Date = new Proxy(Right, {
    construct: (target, given, newTarget) =>
      Reflect.construct(target, given.length === 0 ? [wrongNow()] : given, newTarget) as Date,
    apply: () => new Right(wrongNow()).toString(),
    get: (target, name, receiver) => (name === 'now' ? wrongNow : (Reflect.get(target, name, receiver) as unknown)),
  })
}
