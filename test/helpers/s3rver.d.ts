/** The part of `s3rver` that tests use; it brings no types. */
declare module 's3rver' {
  import type { RequestListener } from 'node:http'

  interface StoredObject {
    readonly bucket: string
    readonly key: string
    readonly content: AsyncIterable<Uint8Array> | Uint8Array
    readonly metadata: object
  }

  interface Store {
    getResourcePath(bucket: string, key: string | undefined, resource: string): string
    putMetadata(bucket: string, key: string, metadata: object, md5: string): Promise<void>
    putObject(object: StoredObject): Promise<{ size: number; md5: string }>
    putPart(
      bucket: string,
      uploadId: string,
      number: number,
      content: AsyncIterable<Uint8Array>,
    ): Promise<{ size: number; md5: string }>
  }

  export default class S3rver {
    readonly store: Store
    constructor(options: {
      readonly silent: boolean
      readonly directory: string
      readonly vhostBuckets: boolean
      readonly configureBuckets: readonly { readonly name: string }[]
    })
    configureBuckets(): Promise<unknown>
    callback(): RequestListener
    on(event: 'error', listener: () => void): this
  }
}
