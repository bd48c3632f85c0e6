/** Of the parser of multipart bodies, which comes without types, what is used here. */
declare module 'busboy' {
  import type { Readable, Writable } from 'node:stream'

  interface Options {
    readonly headers: NodeJS.Dict<string | string[]>
    readonly defParamCharset?: string
    readonly limits?: { readonly fieldSize?: number; readonly fields?: number; readonly files?: number }
  }

  interface FieldInfo {
    readonly valueTruncated: boolean
  }

  interface FileInfo {
    /** Absent where the part has none. */
    readonly filename?: string
    readonly encoding: string
    readonly mimeType: string
  }

  interface Parser extends Writable {
    on(event: 'field', listener: (name: string | undefined, value: string, info: FieldInfo) => void): this
    on(event: 'file', listener: (name: string | undefined, stream: Readable, info: FileInfo) => void): this
    on(event: 'filesLimit' | 'fieldsLimit' | 'finish' | 'close', listener: () => void): this
    on(event: 'error', listener: (error: Error) => void): this
  }

  /** Throws for headers that are not those of a multipart request with a boundary. */
  export default function busboy(options: Options): Parser
}
