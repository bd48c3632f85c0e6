/**
 * What one operation may ask for. Counted on the operation as it would be executed, fragments expanded and variables
 * filled in, before any resolver runs; the same on HTTP and on sockets.
 */
import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLError,
  type GraphQLField,
  type GraphQLSchema,
  getNamedType,
  getOperationAST,
  isCompositeType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type ValueNode,
} from 'graphql'
import {
  ALIASES_MAX,
  COST_MAX,
  DEPTH_MAX,
  DIRECTIVES_MAX,
  LIST_LENGTH_ASSUMED,
  LIST_LENGTH_MAX,
  ROOT_FIELDS_MAX,
} from '../limits.js'

export interface OperationSize {
  readonly depth: number
  readonly aliases: number
  readonly rootFields: number
  readonly directives: number
  readonly cost: number
}

type Variables = Readonly<Record<string, unknown>>

/**
 * The first limit that the operation breaks, as the error to answer; null for one within all of them. The document must
 * be valid against the schema.
 */
export function checkOperation(
  schema: GraphQLSchema,
  document: DocumentNode,
  operationName: string | null,
  variables: Variables,
): GraphQLError | null {
  const operation = getOperationAST(document, operationName)
  if (operation === null || operation === undefined) {
    return null
  }
  try {
    checkLists(document, variables)
    const size = measureOperation(schema, document, operation, variables)
    refuseAbove('depth', size.depth, DEPTH_MAX)
    refuseAbove('aliases', size.aliases, ALIASES_MAX)
    refuseAbove('root fields', size.rootFields, ROOT_FIELDS_MAX)
    refuseAbove('directives', size.directives, DIRECTIVES_MAX)
    refuseAbove('cost', size.cost, COST_MAX)
    return null
  } catch (error) {
    if (error instanceof GraphQLError) {
      return error
    }
    throw error
  }
}

function refuse(limit: string, message: string): never {
  throw new GraphQLError(message, { extensions: { code: 'OPERATION_TOO_LARGE', limit, http: { status: 400 } } })
}

function refuseAbove(limit: string, size: number, most: number): void {
  if (size > most) {
    refuse(limit, `The operation is too large: its ${limit} of ${size} exceeds the limit of ${most}.`)
  }
}

/** No input of the schema needs more; deeper ones are there to exhaust the stack. */
const INPUT_LEVELS = 50

/** Every list that the caller sends, wherever it stands, and every `first`. */
function checkLists(document: DocumentNode, variables: Variables): void {
  const tooLong = (length: number): void => {
    if (length > LIST_LENGTH_MAX) {
      refuse(
        'list',
        `The operation is too large: a list in its input has ${length} items, at most ${LIST_LENGTH_MAX} are taken.`,
      )
    }
  }
  const walkValue = (value: unknown, level: number): void => {
    if (level > INPUT_LEVELS) {
      refuse('input depth', `The operation is too large: its input is nested more than ${INPUT_LEVELS} levels deep.`)
    }
    if (Array.isArray(value)) {
      tooLong(value.length)
      value.forEach((item) => walkValue(item, level + 1))
    } else if (isPlainObject(value)) {
      Object.values(value).forEach((member) => walkValue(member, level + 1))
    }
  }
  walkValue(variables, 0)
  const walkNode = (node: unknown): void => {
    if (Array.isArray(node)) {
      node.forEach(walkNode)
    } else if (isNode(node)) {
      if (node.kind === Kind.LIST) {
        tooLong((node as unknown as { values: readonly ValueNode[] }).values.length)
      }
      for (const [key, child] of Object.entries(node)) {
        if (key !== 'loc') {
          walkNode(child)
        }
      }
    }
  }
  walkNode(document.definitions)
}

/** A file of a multipart request is an object of a class: there is nothing to look into. */
function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && [Object.prototype, null].includes(Object.getPrototypeOf(value))
}

function isNode(value: unknown): value is { readonly kind: string } {
  return typeof value === 'object' && value !== null && 'kind' in value
}

/** Counts the operation. A fragment is counted once and its size used wherever it is spread, so that nesting cannot blow it up. */
export function measureOperation(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Variables,
): OperationSize {
  const values: Variables = { ...defaults(operation), ...variables }
  const fragments = new Map(
    document.definitions
      .filter((definition) => definition.kind === Kind.FRAGMENT_DEFINITION)
      .map((fragment) => [fragment.name.value, fragment]),
  )
  const measured = new Map<string, OperationSize>()

  const ofFragment = (fragment: FragmentDefinitionNode): OperationSize => {
    const name = fragment.name.value
    const known = measured.get(name)
    if (known !== undefined) {
      return known
    }
    const size = ofSelections(fragment.selectionSet, fragment.typeCondition.name.value)
    const all = { ...size, directives: size.directives + (fragment.directives?.length ?? 0) }
    measured.set(name, all)
    return all
  }

  const ofSelections = (set: SelectionSetNode, typeName: string): OperationSize =>
    set.selections.reduce<OperationSize>((sum, selection) => {
      const directives = selection.directives?.length ?? 0
      switch (selection.kind) {
        case Kind.FIELD: {
          const size = ofField(selection, typeName)
          return add(sum, { ...size, directives: size.directives + directives })
        }
        case Kind.INLINE_FRAGMENT: {
          const size = ofSelections(selection.selectionSet, selection.typeCondition?.name.value ?? typeName)
          return add(sum, { ...size, directives: size.directives + directives })
        }
        case Kind.FRAGMENT_SPREAD: {
          const fragment = fragments.get(selection.name.value)
          const size = fragment === undefined ? nothing : ofFragment(fragment)
          return add(sum, { ...size, directives: size.directives + directives })
        }
        default:
          return selection satisfies never
      }
    }, nothing)

  const ofField = (node: FieldNode, typeName: string): OperationSize => {
    const own = { aliases: node.alias === undefined ? 0 : 1, rootFields: 1, directives: 0 }
    if (node.name.value.startsWith('__')) {
      // Introspection is bounded by a validation rule of its own.
      return { ...own, depth: 0, cost: 0 }
    }
    const field = fieldOf(schema, typeName, node.name.value)
    const children =
      node.selectionSet === undefined || field === null
        ? nothing
        : ofSelections(node.selectionSet, getNamedType(field.type).name)
    const declared = field?.extensions.complexity
    const base =
      typeof declared === 'number' ? declared : field !== null && isCompositeType(getNamedType(field.type)) ? 1 : 0
    const counted =
      field?.args.some((argument) => argument.name === 'first') === true && fieldOf(schema, typeName, 'id') !== null
    const length = field === null ? 1 : listLength(field, node, typeName, values)
    return {
      aliases: own.aliases + children.aliases,
      directives: children.directives,
      rootFields: own.rootFields,
      depth: 1 + children.depth,
      // What belongs to an object with an id is looked up: asked for by number it costs at least one each, however plain.
      cost: base + length * (counted ? Math.max(1, children.cost) : children.cost),
    }
  }

  const type = schema.getRootType(operation.operation)
  const size = type === null || type === undefined ? nothing : ofSelections(operation.selectionSet, type.name)
  return { ...size, directives: size.directives + (operation.directives?.length ?? 0) }
}

const nothing: OperationSize = { depth: 0, aliases: 0, rootFields: 0, directives: 0, cost: 0 }

function add(a: OperationSize, b: OperationSize): OperationSize {
  return {
    depth: Math.max(a.depth, b.depth),
    aliases: a.aliases + b.aliases,
    rootFields: a.rootFields + b.rootFields,
    directives: a.directives + b.directives,
    cost: a.cost + b.cost,
  }
}

function fieldOf(schema: GraphQLSchema, typeName: string, name: string): GraphQLField<unknown, unknown> | null {
  const type = schema.getType(typeName)
  return isObjectType(type) || isInterfaceType(type) ? (type.getFields()[name] ?? null) : null
}

/**
 * How many objects a field is taken to answer: its `first`; of a bare list a fixed guess; the lists of a connection or a preview
 * were counted with it.
 */
function listLength(
  field: GraphQLField<unknown, unknown>,
  node: FieldNode,
  parent: string,
  variables: Variables,
): number {
  const argument = field.args.find(({ name }) => name === 'first')
  if (argument !== undefined) {
    const given = node.arguments?.find(({ name }) => name.value === 'first')?.value
    const value = given === undefined ? argument.defaultValue : valueOf(given, variables)
    const first = value ?? argument.defaultValue
    if (typeof first !== 'number' || first < 1 || first > LIST_LENGTH_MAX) {
      refuse('first', `\`first\` is a whole number from 1 to ${LIST_LENGTH_MAX}.`)
    }
    return first
  }
  const bare = isNonNullType(field.type) ? field.type.ofType : field.type
  return isListType(bare) && !/(?:Connection|Preview)$/.test(parent) ? LIST_LENGTH_ASSUMED : 1
}

function valueOf(node: ValueNode, variables: Variables): unknown {
  switch (node.kind) {
    case Kind.VARIABLE:
      return variables[node.name.value]
    case Kind.INT:
      return Number(node.value)
    default:
      return undefined
  }
}

function defaults(operation: OperationDefinitionNode): Variables {
  return Object.fromEntries(
    (operation.variableDefinitions ?? []).flatMap(({ variable, defaultValue }) =>
      defaultValue === undefined ? [] : [[variable.name.value, valueOf(defaultValue, {})]],
    ),
  )
}
