/** A check of answers against descriptions: the part of JSON Schema that OpenAPI 3.0 documents of CRMs use. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A schema, as OpenAPI 3.0 has it. Members that are not listed here do not narrow anything down. */
export interface Schema {
  readonly type?: string | readonly string[]
  readonly nullable?: boolean
  readonly enum?: readonly unknown[]
  readonly format?: string
  readonly pattern?: string
  readonly properties?: { readonly [name: string]: Schema }
  readonly required?: readonly string[]
  /** False: no others than `properties`. */
  readonly additionalProperties?: boolean | Schema
  readonly items?: Schema
  readonly allOf?: readonly Schema[]
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly maxItems?: number
  readonly $ref?: string
}

/** Finds `#/components/...` of a document. */
export type Lookup = (reference: string) => Schema | null

const FORMATS: Readonly<Record<string, RegExp>> = {
  date: /^\d{4}-\d\d-\d\d$/,
  uuid: /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i,
}

/** Everything that is wrong with the value, each with its path; empty if nothing. */
export function violationsOf(schema: Schema, value: unknown, lookup: Lookup = () => null, path = '$'): string[] {
  if (schema.$ref !== undefined) {
    const target = lookup(schema.$ref)
    return target === null ? [`${path}: no schema ${schema.$ref}`] : violationsOf(target, value, lookup, path)
  }
  const wrong: string[] = []
  for (const part of schema.allOf ?? []) {
    wrong.push(...violationsOf(part, value, lookup, path))
  }
  const choices = schema.anyOf ?? schema.oneOf
  if (choices !== undefined && value !== null) {
    const tried = choices.map((choice) => violationsOf(choice, value, lookup, path))
    if (tried.length > 0 && tried.every((found) => found.length > 0)) {
      wrong.push(tried[0]?.[0] ?? `${path}: fits none`)
    }
  }
  if (value === null) {
    const types = [schema.type ?? []].flat()
    const free = types.length === 0 && schema.properties === undefined && schema.allOf === undefined
    const nullable = schema.nullable === true || types.includes('null') || schema.enum?.includes(null) === true || free
    if (!nullable && schema.allOf === undefined) {
      wrong.push(`${path}: null`)
    }
    return wrong
  }
  const type = kindOf(value)
  const types = [schema.type ?? []].flat()
  if (types.length > 0 && !types.includes(type) && !(type === 'integer' && types.includes('number'))) {
    return [...wrong, `${path}: ${type} instead of ${types.join(' or ')}`]
  }
  if (schema.enum !== undefined && !schema.enum.includes(value)) {
    wrong.push(`${path}: ${JSON.stringify(value).slice(0, 60)} is none of its values`)
  }
  if (typeof value === 'string') {
    const format = FORMATS[schema.format ?? '']
    if (
      (format !== undefined && !format.test(value)) ||
      (schema.format === 'date-time' && Number.isNaN(Date.parse(value)))
    ) {
      wrong.push(`${path}: ${JSON.stringify(value).slice(0, 60)} is no ${schema.format}`)
    }
    if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(value)) {
      wrong.push(`${path}: ${JSON.stringify(value).slice(0, 60)} does not fit ${schema.pattern}`)
    }
  } else if (Array.isArray(value)) {
    if (schema.maxItems !== undefined && value.length > schema.maxItems) {
      wrong.push(`${path}: ${value.length} instead of at most ${schema.maxItems}`)
    }
    if (schema.items !== undefined) {
      for (const [at, item] of value.entries()) {
        wrong.push(...violationsOf(schema.items, item, lookup, `${path}[${at}]`))
        if (wrong.length > 20) {
          break
        }
      }
    }
  } else if (typeof value === 'object') {
    const members = value as Readonly<Record<string, unknown>>
    for (const name of schema.required ?? []) {
      if (members[name] === undefined) {
        wrong.push(`${path}.${name}: missing`)
      }
    }
    for (const [name, member] of Object.entries(members)) {
      if (member === undefined) {
        continue
      }
      const known = schema.properties?.[name]
      if (known !== undefined) {
        wrong.push(...violationsOf(known, member, lookup, `${path}.${name}`))
      } else if (schema.additionalProperties === false) {
        wrong.push(`${path}.${name}: unknown`)
      } else if (typeof schema.additionalProperties === 'object') {
        wrong.push(...violationsOf(schema.additionalProperties, member, lookup, `${path}.${name}`))
      }
    }
  }
  return wrong
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) {
    return 'array'
  }
  return typeof value === 'number' && Number.isInteger(value) ? 'integer' : typeof value
}

interface Operation {
  readonly operationId?: string
  readonly 'x-token-cost'?: number
  readonly responses?: {
    readonly [status: string]: { readonly content?: { readonly [type: string]: { readonly schema?: Schema } } }
  }
}

interface Document {
  readonly paths: { readonly [path: string]: { readonly [method: string]: Operation } }
}

/** An official description, if it is at hand. */
export class Description {
  readonly #document: Document
  readonly #operations = new Map<string, Operation>()

  constructor(text: string) {
    this.#document = JSON.parse(text) as Document
    for (const methods of Object.values(this.#document.paths)) {
      for (const operation of Object.values(methods)) {
        if (operation.operationId !== undefined) {
          this.#operations.set(operation.operationId, operation)
        }
      }
    }
  }

  get operations(): readonly string[] {
    return [...this.#operations.keys()]
  }

  /** What it says the operation costs, in tokens; null: nothing. */
  costOf(operationId: string): number | null {
    return this.#operations.get(operationId)?.['x-token-cost'] ?? null
  }

  /** Null: it says nothing about this answer. */
  schemaOf(operationId: string, status: number): Schema | null {
    const content = this.#operations.get(operationId)?.responses?.[String(status)]?.content ?? {}
    return content['application/json']?.schema ?? null
  }

  violationsOf(operationId: string, status: number, value: unknown): readonly string[] {
    const schema = this.schemaOf(operationId, status)
    return schema === null ? [] : violationsOf(schema, value, (reference) => this.#lookup(reference))
  }

  #lookup(reference: string): Schema | null {
    let at: unknown = this.#document
    for (const name of reference.replace(/^#\//, '').split('/')) {
      at = (at as Readonly<Record<string, unknown>> | undefined)?.[name.replaceAll('~1', '/').replaceAll('~0', '~')]
    }
    return (at as Schema | undefined) ?? null
  }
}

/** The folder of the official descriptions, which are not part of the project; null: not at hand. */
export function descriptionsFolder(): string | null {
  const folder =
    process.env.PORTAGE_CRM_DESCRIPTIONS ?? join(import.meta.dirname, '..', '..', '..', '..', '..', 'shared', 'crm')
  return existsSync(folder) ? folder : null
}

/** A file of that folder; null: not at hand. */
export function descriptionFile(name: string): string | null {
  const folder = descriptionsFolder()
  const path = folder === null ? null : join(folder, name)
  return path !== null && existsSync(path) ? readFileSync(path, 'utf8') : null
}
