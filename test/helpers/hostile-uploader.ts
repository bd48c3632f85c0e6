/** A process that uploads the hostile files: `node hostile-uploader.js URL TOKEN AT_ONCE`. Tells each by a message: title, status, code, seconds. */
import { request } from 'node:http'
import { constants, setPriority } from 'node:os'
import { text } from 'node:stream/consumers'
import { type HostileFile, hostileFiles, openPieces } from '../hostile/files.js'

const [, , url = '', token = '', atOnce = '1'] = process.argv
const BLOCK = 1 << 20
const BOUNDARY = 'hostile'

const part = (head: string, body: string) =>
  `--${BOUNDARY}\r\ncontent-disposition: form-data; ${head}\r\n\r\n${body}\r\n`
const operations = JSON.stringify({
  query: 'mutation ($input: FileUploadInput!) { fileUpload(input: $input) { file { id } userErrors { code } } }',
  variables: { input: { file: null } },
})

async function upload(file: HostileFile): Promise<void> {
  const started = performance.now()
  const pieces = openPieces(file.make())
  await using reader = await pieces.open()
  const head = `${part('name="operations"', operations)}${part('name="map"', '{"0": ["variables.input.file"]}')}--${BOUNDARY}\r\ncontent-disposition: form-data; name="0"; filename="${file.name}"\r\n\r\n`
  const tail = `\r\n--${BOUNDARY}--\r\n`
  const sent = request(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
      'content-length': Buffer.byteLength(head) + reader.byteSize + Buffer.byteLength(tail),
      'apollo-require-preflight': 'true',
      accept: 'application/json',
      authorization: `Bearer ${token}`,
    },
  })
  const answered = Promise.withResolvers<{ status: number; code: string }>()
  sent.on('error', answered.reject)
  sent.on('response', (response) => {
    text(response).then((body) => {
      const code = /"code":"([A-Z_]+)"/.exec(body)?.[1] ?? 'taken'
      answered.resolve({ status: response.statusCode ?? 0, code })
    }, answered.reject)
  })
  sent.write(head)
  const block = Buffer.alloc(BLOCK)
  for (let at = 0; at < reader.byteSize; ) {
    const read = await reader.read(block, 0, BLOCK, at)
    at += read
    // The block is filled anew: what was given to the socket must not change.
    if (!sent.write(Buffer.from(block.subarray(0, read)))) {
      await new Promise<void>((resolve) => {
        sent.once('drain', resolve)
        answered.promise.then(
          () => resolve(),
          () => resolve(),
        )
      })
    }
  }
  sent.end(tail)
  const { status, code } = await answered.promise
  process.send?.({ title: file.title, status, code, seconds: (performance.now() - started) / 1000 })
}

// Stands in for somebody else's machine: what it takes to make and send files is not the service's.
setPriority(constants.priority.PRIORITY_LOW)

const waiting = [...hostileFiles]
await Promise.all(
  Array.from({ length: Number(atOnce) }, async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      await upload(file)
    }
  }),
)
process.disconnect()
