/**
 * Says what is wrong with a JSON file, in the words of its schema.
 *
 * The one idea: what a value must be is read off the JSON Schema that editors use, so that a message
 * names the whole rule (`an integer >= 2`) and not the first check that failed. It never repeats
 * what may be a secret.
 */
import { Result, Schema, type SchemaAST, type SchemaIssue } from "effect"

export interface Problem {
  readonly path: ReadonlyArray<PropertyKey>
  /** Continues the path: `must be an integer >= 2, got "x"`. */
  readonly says: string
}

/** A JSON Schema node, as far as it is used here. */
export interface Rule {
  readonly type?: string
  readonly enum?: ReadonlyArray<unknown>
  readonly description?: string
  readonly default?: unknown
  readonly properties?: Readonly<Record<string, Rule>>
  readonly items?: Rule
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
  readonly minItems?: number
  readonly allOf?: ReadonlyArray<Rule>
  readonly anyOf?: ReadonlyArray<Rule>
}

/** Longer texts are not shown: nothing that belongs into the file is longer, and keys are. */
const shownLengthMax = 32

/** What is wrong with `input`, at paths that begin with `prefix`. */
export function problemsOf(
  schema: Schema.Constraint,
  issue: SchemaIssue.Issue,
  input: unknown,
  prefix: ReadonlyArray<PropertyKey> = [],
): ReadonlyArray<Problem> {
  const rule = ruleOf(schema, true)
  return leaves(issue, []).map(({ path, leaf }) => ({
    path: [...prefix, ...path],
    says: sentence(rule, path, leaf, input),
  }))
}

/** The JSON Schema of what `schema` reads, with the descriptions and defaults of its keys. */
export function jsonSchemaOf(schema: Schema.ConstraintCodec<unknown, unknown>): Rule {
  const filledIn = Schema.decodeUnknownResult(schema)({})
  const defaults = Result.isSuccess(filledIn)
    ? Schema.encodeSync(schema)(filledIn.success)
    : undefined
  return withKeys(ruleOf(schema, false), schema.ast, defaults)
}

/** `worded` describes every check, for people. */
function ruleOf(schema: Schema.Constraint, worded: boolean): Rule {
  const document = Schema.toJsonSchemaDocument(schema, {
    onExcessProperty: "error",
    generateDescriptions: worded,
  })
  return plain(document.schema)
}

/** What is written about a key stands beside its decoded value, where the generator does not look. */
function withKeys(rule: Rule, ast: SchemaAST.AST, defaults: unknown): Rule {
  if (ast._tag === "Arrays" && rule.items !== undefined && ast.rest[0] !== undefined) {
    const items = withKeys(rule.items, ast.rest[0], undefined)
    return { ...rule, items, ...(defaults !== undefined && { default: defaults }) }
  }
  if (ast._tag !== "Objects" || rule.properties === undefined) {
    return defaults === undefined ? rule : { ...rule, default: defaults }
  }
  const properties: Record<string, Rule> = { ...rule.properties }
  for (const { name, type } of ast.propertySignatures) {
    const at = properties[String(name)]
    if (at === undefined) continue
    const description = type.context?.annotations?.["description"]
    properties[String(name)] = {
      ...(typeof description === "string" && { description }),
      ...withKeys(at, type, valueAt(defaults, [name])),
    }
  }
  return { ...rule, properties }
}

/** `strategies[1].params.period`; a name that is not a word goes into brackets. */
export function pathText(path: ReadonlyArray<PropertyKey>): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`
    const name = String(part)
    if (!/^[\w$-]+$/.test(name)) return `${text}[${JSON.stringify(name.slice(0, shownLengthMax))}]`
    return text === "" ? name : `${text}.${name}`
  }, "")
}

/** The value as a message may show it. */
export function shown(value: unknown, path: ReadonlyArray<PropertyKey>): string {
  if (value === undefined) return "nothing"
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list"
  if (typeof value === "object" && value !== null) return "an object"
  if (path.some((part) => /key|secret|password|token/i.test(String(part)))) return "a hidden value"
  if (typeof value !== "string") return String(value)
  if (value.length > shownLengthMax || value.includes("@")) {
    return `text of ${value.length} characters`
  }
  return JSON.stringify(value)
}

/** The candidate that `name` is most likely a slip of, or `undefined`. */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(name.length / 2.5)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
  }
  return best
}

interface Leaf {
  readonly path: ReadonlyArray<PropertyKey>
  readonly leaf: SchemaIssue.Issue
}

function leaves(issue: SchemaIssue.Issue, path: ReadonlyArray<PropertyKey>): ReadonlyArray<Leaf> {
  switch (issue._tag) {
    case "Pointer":
      return leaves(issue.issue, [...path, ...issue.path])
    case "Composite":
      return issue.issues.flatMap((each) => leaves(each, path))
    case "Encoding":
      return leaves(issue.issue, path)
    case "Filter":
      // A rule between several keys points at the one to change.
      return issue.issue._tag === "Pointer" ? leaves(issue.issue, path) : [{ path, leaf: issue }]
    default:
      return [{ path, leaf: issue }]
  }
}

function sentence(
  rule: Rule,
  path: ReadonlyArray<PropertyKey>,
  leaf: SchemaIssue.Issue,
  input: unknown,
): string {
  const name = String(path.at(-1))
  if (leaf._tag === "UnexpectedKey") {
    return unknownKey(name, Object.keys(ruleAt(rule, path.slice(0, -1))?.properties ?? {}))
  }
  const got = shown(valueAt(input, path), path)
  const said = leaf._tag === "InvalidValue" ? leaf.annotations?.["message"] : undefined
  if (typeof said === "string") return `${said}, got ${got}`
  const at = ruleAt(rule, path) ?? {}
  // A list has several rules, and each of them is a sentence of its own.
  const expected = leaf._tag === "Filter" ? leaf.filter.annotations?.expected : undefined
  return `must be ${at.type === "array" && expected || described(at)}, got ${got}`
}

function unknownKey(name: string, known: ReadonlyArray<string>): string {
  if (/^(api_?)?(key|secret|password|token)/i.test(name)) {
    return "is unknown; secrets are read from the environment alone"
  }
  const meant = nearest(name, known)
  return meant === undefined
    ? `is unknown; known are ${known.join(", ")}`
    : `is unknown; did you mean ${meant}?`
}

function described(rule: Rule): string {
  if (rule.enum !== undefined) return `one of ${rule.enum.join(", ")}`
  switch (rule.type) {
    case "integer":
      return `an integer${range(rule)}`
    case "number":
      return `a number${range(rule)}`
    case "string":
      return rule.description ?? "text"
    case "boolean":
      return "true or false"
    case "array":
      return rule.minItems === undefined ? "a list" : `a list of at least ${rule.minItems}`
    case "object":
      return "an object"
    default:
      return rule.description ?? "something else"
  }
}

function range(rule: Rule): string {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = rule
  if (minimum !== undefined && maximum !== undefined) return ` between ${minimum} and ${maximum}`
  const bounds = [
    minimum === undefined ? [] : [`>= ${minimum}`],
    exclusiveMinimum === undefined ? [] : [`> ${exclusiveMinimum}`],
    maximum === undefined ? [] : [`<= ${maximum}`],
    exclusiveMaximum === undefined ? [] : [`< ${exclusiveMaximum}`],
  ].flat()
  return bounds.length === 0 ? "" : ` ${bounds.join(" and ")}`
}

/** Folds what a schema says in parts into one node, and drops what says nothing. */
function plain(rule: Rule): Rule {
  const { anyOf, ...rest } = rule
  // A key with a default may be absent, which a codec of JSON would write as null.
  const options = anyOf?.filter((option) => option.type !== "null")
  if (options?.length === 1) return plain({ ...rest, ...options[0] })
  const { allOf = [], ...own } = rule
  const merged: { -readonly [K in keyof Rule]: Rule[K] } = allOf.map(plain).reduce<Rule>(
    (all, part) => ({ ...all, ...part, ...(own.description && { description: own.description }) }),
    own,
  )
  if (merged.minimum === Number.MIN_SAFE_INTEGER) delete merged.minimum
  if (merged.maximum === Number.MAX_SAFE_INTEGER) delete merged.maximum
  if (merged.items !== undefined) merged.items = plain(merged.items)
  if (merged.properties !== undefined) {
    merged.properties = Object.fromEntries(
      Object.entries(merged.properties).map(([key, value]) => [key, plain(value)]),
    )
  }
  return merged
}

function ruleAt(rule: Rule, path: ReadonlyArray<PropertyKey>): Rule | undefined {
  return path.reduce<Rule | undefined>(
    (at, part) => typeof part === "number" ? at?.items : at?.properties?.[String(part)],
    rule,
  )
}

function valueAt(input: unknown, path: ReadonlyArray<PropertyKey>): unknown {
  return path.reduce<unknown>(
    (at, part) => typeof at === "object" && at !== null ? Reflect.get(at, part) : undefined,
    input,
  )
}

/** Insertions, deletions, replacements and swaps of neighbours. */
function editDistance(a: string, b: string): number {
  const row = (length: number) => Array.from({ length }, (_, index) => index)
  let beforeLast = row(b.length + 1)
  let last = row(b.length + 1)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const at = (cells: ReadonlyArray<number>, index: number) => cells[index] ?? Infinity
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min(at(last, j) + 1, at(next, j - 1) + 1, at(last, j - 1) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, at(beforeLast, j - 2) + 1)
      }
      next.push(cost)
    }
    beforeLast = last
    last = next
  }
  return last[b.length] ?? Infinity
}
