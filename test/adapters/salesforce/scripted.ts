/** Salesforce as a few answers written by hand after its documents: enough to see what the adapter asks and makes of it. */
import type { Answer, VendorRequest } from '../../../src/adapters/http/client.js'
import { VendorRefused } from '../../../src/adapters/http/errors.js'
import type { VendorApi, VendorField, VendorObject } from '../../../src/adapters/vendor.js'
import type { FieldKind } from '../../../src/records/types.js'

/** What is answered: JSON, or CSV with its headers. */
export interface Scripted {
  readonly json?: unknown
  readonly csv?: string
  readonly headers?: Readonly<Record<string, string>>
  /** The bytes end here with an error. */
  readonly breaksAt?: number
}

export type Answering = (request: VendorRequest, text: string) => Scripted

/** Requests are told apart by method and path with the query behind it, unescaped. */
export class ScriptedApi implements VendorApi {
  readonly calls: string[] = []
  readonly requests: VendorRequest[] = []
  answering: Answering
  now = new Date('2026-03-02T09:00:00Z')

  constructor(answering: Answering) {
    this.answering = answering
  }

  async json<T>(request: VendorRequest): Promise<Answer<T>> {
    const { json, headers = {} } = this.#answer(request)
    return this.#wrapped(json as T, headers)
  }

  async stream(request: VendorRequest): Promise<Answer<AsyncIterable<Buffer>>> {
    const { csv = '', headers = {}, breaksAt } = this.#answer(request)
    const bytes = Buffer.from(csv)
    async function* chunks(): AsyncGenerator<Buffer> {
      // Cuts in the middle of rows and characters.
      const size = bytes.length > 10_000 ? 4999 : 7
      for (let at = 0; at < bytes.length; at += size) {
        if (breaksAt !== undefined && at >= breaksAt) {
          throw new Error('the connection broke')
        }
        yield bytes.subarray(at, at + size)
      }
    }
    return this.#wrapped(chunks(), headers)
  }

  #answer(request: VendorRequest): Scripted {
    const query = Object.entries(request.query ?? {})
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => `${name}=${String(value)}`)
    const text = `${request.method} ${request.path.replace('/services/data/v67.0/', '')}${query.length === 0 ? '' : `?${query.join('&')}`}`
    this.calls.push(text)
    this.requests.push(request)
    return this.answering(request, text)
  }

  #wrapped<T>(value: T, headers: Readonly<Record<string, string>>): Answer<T> {
    return { kind: 'answer', status: 200, headers, serverTime: this.now, value }
  }
}

/** A refusal as the layer below throws it. */
export function refused(status: number, code: string, message = code): VendorRefused {
  return new VendorRefused({ code, message, status }, status === 404 ? 'gone' : 'request')
}

/** The answer to a query with these records. */
export function records(
  rows: readonly object[],
  more: { readonly next?: string; readonly totalSize?: number } = {},
): Scripted {
  return {
    json: {
      totalSize: more.totalSize ?? rows.length,
      done: more.next === undefined,
      ...(more.next === undefined ? {} : { nextRecordsUrl: more.next }),
      records: rows.map((row) => ({ attributes: { type: 'X', url: '/x' }, ...row })),
    },
  }
}

/** An object with these fields; kinds are texts unless said otherwise as `Name:KIND`. A field `X__c` is custom. */
export function object(name: string, fields: string, more: Partial<VendorObject> = {}): VendorObject {
  return {
    name,
    label: name,
    custom: name.endsWith('__c'),
    fields: fields.split(' ').map((text): VendorField => {
      const [field = '', kind = 'TEXT', to] = text.split(':')
      return {
        name: field,
        label: field,
        kind: kind as FieldKind,
        custom: /__[cs]$/.test(field),
        references: to === undefined ? [] : to.split('|'),
        options: null,
        calculated: false,
      }
    }),
    recordCount: null,
    suggestedRecordType: null,
    ...more,
  }
}
