/**
 * The rules of the tree, as functions of a file's path and text.
 *
 * Each returns what is wrong in words, so that the rules can be tried on samples before they judge
 * the tree. Where a rule has an exception, its reason stands beside it.
 */
import { posix } from "node:path"

/** Who may import whom; what is not here is forbidden. Ports are single files or their folder. */
const allowed: Readonly<Record<string, ReadonlyArray<string>>> = {
  "domain": [],
  "strategies": ["domain"],
  "actors/runtime": [],
  "actors": [
    "actors/runtime",
    "domain",
    "venues",
    "storage/event_store.ts",
    "storage/lease.ts",
    "news",
  ],
  /** Ports, and what adapters share: files directly below `venues/`. */
  "venues": ["domain", "actors/runtime/forever.ts"],
  // The runtime is a package of its own; adapters use its `forever`, because an endless fiber of
  // Effect keeps memory of every suspension on Deno.
  "venues/*": ["domain", "venues", "actors/runtime"],
  "news": ["domain"],
  "news/*": ["domain", "news"],
  "storage": [
    "domain",
    "storage/event_store.ts",
    "storage/lease.ts",
    "venues/governor.ts",
    "venues/simulator/ledger.ts",
    "venues/simulator/alpaca/ledger.ts",
  ],
  "storage/event_store.ts": ["domain"],
  "storage/lease.ts": ["domain"],
  "views": ["domain"],
  "http": ["domain", "views", "actors", "actors/runtime", "storage/event_store.ts"],
  "backtest": ["domain", "strategies"],
  "simulation": ["domain", "strategies"],
  "settings": ["domain"],
}

/** What an operator decides and sees: of the files at the root, these put nothing together. */
const settings = new Set([
  "cli.ts",
  "config.ts",
  "config_problem.ts",
  "config_syntax.ts",
  "keys.ts",
  "limits.ts",
  "log.ts",
])

/** Files below that put the others together and may import everything, as do all others at the root
 * and those of `assembly/`. */
const roots: Readonly<Record<string, string>> = {
  "backtest/run.ts": "runs the actors on recorded data",
  "simulation/run.ts": "runs the actors on virtual time",
  "venues/simulator/main.ts": "runs the simulated venue alone",
}

/** What may be used from outside the tree; a prefix ends in `/`. */
const packages: Readonly<Record<string, ReadonlyArray<string>>> = {
  "domain": ["effect"],
  "strategies": ["effect"],
  "actors/runtime": ["effect", "node:async_hooks"],
  "actors": ["effect"],
  "views": ["hono/"],
}

/** `Schema` and the modules that only hold data. */
const dataModules = new Set([
  "BigDecimal",
  "Option",
  "Result",
  "Schema",
  "SchemaGetter",
  "SchemaTransformation",
])

/** Files that may look at the machine's clock or wait on it. */
export const ambientExceptions: Readonly<Record<string, string>> = {
  "venues/socket.ts": "a frozen peer is noticed by the machine's own monotonic clock",
  "actors/runtime/dispatcher.ts": "gives the event loop its turn back after a budget of real time",
  "actors/runtime/virtual_time.ts": "lets real input arrive before virtual time moves",
}

const ambientFolders = ["domain/", "strategies/", "actors/", "venues/"]
const ambient: ReadonlyArray<RegExp> = [
  /\bDate\.now\b/,
  /\bnew Date\s*\(\s*\)/,
  /\bperformance\.now\b/,
  /\bTemporal\.Now\b/,
  /\bhrtime\b/,
  /\bMath\.random\b/,
  /\b(?:getRandomValues|randomUUID|randomBytes|randomInt)\b/,
  /\bset(?:Timeout|Interval|Immediate)\b/,
  /\bqueueMicrotask\b/,
  /\bAbortSignal\.timeout\b/,
  /\bDeno\.cron\b/,
]

/** The part of the tree that a file belongs to, as `allowed` names it. */
export function areaOf(path: string): string {
  if (path in roots) return "root"
  if (path in allowed) return path
  const folder = posix.dirname(path)
  if (folder === ".") return settings.has(path) ? "settings" : "root"
  const [first = "", second] = folder.split("/")
  if (first === "assembly") return "root"
  if (first === "actors" && second === "runtime") return "actors/runtime"
  if (second !== undefined && `${first}/*` in allowed) return `${first}/*`
  return first
}

/** Imports that point outwards, or leave the tree where they must not. */
export function importProblems(path: string, source: string): ReadonlyArray<string> {
  const area = areaOf(path)
  if (area === "root" || ["tests", "bench", "peers"].includes(area)) return []
  const rule = allowed[area]
  if (rule === undefined) return [`${path}: ${area}/ has no rule in tests/architecture.ts`]
  return importsOf(source).flatMap(({ specifier, names }) => {
    if (!specifier.startsWith(".")) return packageProblems(path, area, specifier, names)
    const target = posix.normalize(posix.join(posix.dirname(path), specifier))
    const inside = unitOf(path) === unitOf(target)
    const may = inside || rule.some((each) => each === target || each === areaOf(target))
    return may
      ? []
      : [`${path} imports ${target}: ${area} may import ${rule.join(", ") || "nothing"}`]
  })
}

/** Within it, imports are free: an area, or one of several adapters beside each other. */
function unitOf(path: string): string {
  const area = areaOf(path)
  return area.endsWith("/*") ? path.split("/").slice(0, 2).join("/") : area
}

function packageProblems(
  path: string,
  area: string,
  specifier: string,
  names: ReadonlyArray<string>,
): ReadonlyArray<string> {
  const may = packages[area]
  if (may !== undefined && !may.some((name) => matches(specifier, name))) {
    return [`${path} imports ${specifier}: ${area} may use ${may.join(", ")}`]
  }
  if (area !== "domain") return []
  return names.filter((name) => !dataModules.has(name)).map((name) =>
    `${path} imports ${name} of effect: domain may use ${[...dataModules].join(", ")}`
  )
}

function matches(specifier: string, name: string): boolean {
  return specifier === name || name.endsWith("/") && specifier.startsWith(name)
}

/** Clocks, timers and chance that nobody injected. */
export function ambientProblems(path: string, source: string): ReadonlyArray<string> {
  if (path in ambientExceptions) return []
  return ambientUses(path, source)
}

export function ambientUses(path: string, source: string): ReadonlyArray<string> {
  if (!ambientFolders.some((folder) => path.startsWith(folder))) return []
  return linesOf(codeOf(source)).flatMap(([line, number]) =>
    ambient.filter((pattern) => pattern.test(line)).map((pattern) =>
      `${path}:${number} uses ${pattern.exec(line)?.[0]}: take Clock, Random or an argument`
    )
  )
}

/** What only an adapter may touch. */
export function platformProblems(path: string, source: string): ReadonlyArray<string> {
  const area = areaOf(path)
  const pure = ["domain", "strategies", "actors", "actors/runtime", "views"].includes(area)
  const stored = path.startsWith("storage/") || path.startsWith("tests/") || area === "bench"
  return linesOf(codeOf(source)).flatMap(([line, number]) => [
    ...(!stored && /\bDeno\.(?:Kv\w*|openKv|AtomicOperation)\b/.test(line)
      ? [`${path}:${number} uses Deno KV: only storage/ may`]
      : []),
    ...(pure && /\b(?:Deno|process|globalThis)\.\w/.test(line)
      ? [`${path}:${number} uses the platform: ${area} may not`]
      : []),
  ])
}

/** Who else than the feed says that a price may be acted on, and who else than risk approves. */
export function authorityProblems(path: string, source: string): ReadonlyArray<string> {
  if (path.startsWith("tests/")) return []
  return linesOf(codeOf(source)).flatMap(([line, number]) => [
    ...(/\bFresh\.issue\b/.test(line) && path !== "actors/feed.ts"
      ? [`${path}:${number} issues a proof of freshness: only actors/feed.ts may`]
      : []),
    ...(/\bapprove(?:Opening|Reducing)\(/.test(line) &&
        !["domain/risk.ts", "actors/risk_manager.ts"].includes(path)
      ? [`${path}:${number} approves an order: only actors/risk_manager.ts may`]
      : []),
  ])
}

/** Types that say nothing. */
export function typeProblems(path: string, source: string): ReadonlyArray<string> {
  if (path.startsWith("tests/")) return []
  const code = codeOf(source).replace(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, '""')
  return linesOf(code).flatMap(([line, number]) =>
    /(?:[:<|&,]|\bas|=>|=)\s*any\b(?!\s*[(:])/.test(line)
      ? [`${path}:${number} says any: say what it is, or unknown`]
      : []
  )
}

const unfinished = new RegExp(`\\b(?:${["TO" + "DO", "FIX" + "ME", "XX" + "X"].join("|")})\\b`)
const machinePath = /(?<![\w.\\-])\/(?:work|root|home|Users)\/[\w.]/

/** Words that do not belong into any text of the repository. */
export function textProblems(path: string, source: string): ReadonlyArray<string> {
  return linesOf(source).flatMap(([line, number]) => [
    ...(unfinished.test(line)
      ? [`${path}:${number} is unfinished: finish it, or write down why not`]
      : []),
    ...(machinePath.test(line) ? [`${path}:${number} names a folder of one machine`] : []),
  ])
}

/** A lockfile that installs anywhere: names and checksums, no addresses. */
export function lockProblems(source: string): ReadonlyArray<string> {
  return linesOf(source).flatMap(([line, number]) =>
    /"tarball"|https?:\/\//.test(line) ? [`deno.lock:${number} names a host: ${line.trim()}`] : []
  )
}

/** Dependencies that are not one exact version. */
export function pinProblems(imports: Readonly<Record<string, string>>): ReadonlyArray<string> {
  return Object.entries(imports)
    .filter(([, target]) => !/^npm:\/?(?:@[\w.-]+\/)?[\w.-]+@\d+\.\d+\.\d+\/?$/.test(target))
    .map(([name, target]) => `deno.json: ${name} is ${target}, not one exact npm version`)
}

/** Tasks and files that a document names and the tree does not have. */
export function documentProblems(
  path: string,
  source: string,
  tasks: ReadonlySet<string>,
  files: ReadonlySet<string>,
): ReadonlyArray<string> {
  return linesOf(source).flatMap(([line, number]) => [
    ...[...line.matchAll(/\bdeno(?:@[\d.]+)? task ([a-z][\w:-]*)/g)].map(([, task = ""]) => task)
      .filter((task) => !tasks.has(task)).map((task) =>
        `${path}:${number} names deno task ${task}, which deno.json does not have`
      ),
    ...[...line.matchAll(/`([\w./-]+\/[\w.-]+\.tsx?)`/g)].map(([, file = ""]) => file)
      .filter((file) => !files.has(file)).map((file) =>
        `${path}:${number} names ${file}, which is not there`
      ),
  ])
}

interface Import {
  readonly specifier: string
  /** What a braced import takes, by its original name. */
  readonly names: ReadonlyArray<string>
}

export function importsOf(source: string): ReadonlyArray<Import> {
  const statement =
    /\b(?:import|export)\b(?<clause>[^"'`;()=]*?)\bfrom\s*["'](?<from>[^"']+)["']|\bimport\s*\(?\s*["'](?<only>[^"']+)["']/g
  return [...codeOf(source).matchAll(statement)].map(({ groups = {} }) => ({
    specifier: groups["from"] ?? groups["only"] ?? "",
    names: (/\{([^}]*)\}/.exec(groups["clause"] ?? "")?.[1] ?? "").split(",")
      .map((name) => name.trim().replace(/^type\s+/, "").replace(/\s+as\s.*$/s, ""))
      .filter((name) => name !== ""),
  }))
}

/** The text without its comments; lines stay where they are. */
export function codeOf(source: string): string {
  const token =
    /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|\/\*[\s\S]*?\*\/|(?<=^|[\s;,{}()[\]])\/\/[^\n]*/gm
  return source.replace(
    token,
    (found) => /^\/[/*]/.test(found) ? found.replace(/[^\n]/g, " ") : found,
  )
}

function linesOf(text: string): ReadonlyArray<readonly [string, number]> {
  return text.split("\n").map((line, index) => [line, index + 1] as const)
}
