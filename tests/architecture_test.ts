import assert from "node:assert/strict"
import { fileURLToPath } from "node:url"
import {
  ambientExceptions,
  ambientProblems,
  ambientUses,
  areaOf,
  authorityProblems,
  codeOf,
  documentProblems,
  importProblems,
  importsOf,
  lockProblems,
  pinProblems,
  platformProblems,
  textProblems,
  typeProblems,
} from "./architecture.ts"

const root = fileURLToPath(new URL("..", import.meta.url))

/** Not ours, or not in the repository. */
const skipped = new Set([".git", "node_modules", "data", "coverage", "vendor", "screenshots"])

function* filesBelow(folder: string): Generator<string> {
  for (const { name, isDirectory, isFile } of Deno.readDirSync(`${root}/${folder}`)) {
    if (skipped.has(name)) continue
    const path = folder === "" ? name : `${folder}/${name}`
    if (isDirectory) yield* filesBelow(path)
    else if (isFile) yield path
  }
}

const texts = new Map(
  [...filesBelow("")].filter((path) => /\.(?:tsx?|js|md|json|css|html)$/.test(path)).toSorted()
    .map((path) => [path, Deno.readTextFileSync(`${root}/${path}`)]),
)
const sources = new Map([...texts].filter(([path]) => /\.tsx?$/.test(path)))

type Rule = (path: string, source: string) => ReadonlyArray<string>

function holds(rule: Rule, over: ReadonlyMap<string, string>): void {
  const problems = [...over].flatMap(([path, source]) => rule(path, source))
  assert.ok(problems.length === 0, `\n${problems.join("\n")}`)
}

Deno.test("the tree is there", () => {
  for (const folder of ["domain", "strategies", "actors", "venues", "storage", "http", "views"]) {
    const count = [...sources.keys()].filter((path) => path.startsWith(`${folder}/`)).length
    assert.ok(count > 0, `no source below ${folder}/`)
  }
})

Deno.test("imports point inwards", () => holds(importProblems, sources))

Deno.test("time and chance are injected", () => {
  holds(ambientProblems, sources)
  for (const [path, reason] of Object.entries(ambientExceptions)) {
    const source = sources.get(path)
    assert.ok(
      source !== undefined && ambientUses(path, source).length > 0,
      `${path} needs no exception: ${reason}`,
    )
  }
})

Deno.test("only storage/ knows Deno KV, and what is pure knows no platform", () =>
  holds(platformProblems, sources))

Deno.test("only the feed issues freshness, only risk approves", () => {
  holds(authorityProblems, sources)
  const forged = "const fresh = Fresh.issue(id, price, 0, Infinity)"
  assert.equal(authorityProblems("actors/operator.ts", forged).length, 1)
  assert.equal(authorityProblems("main.ts", "approveOpening(context, wish, fresh)").length, 1)
})

Deno.test("every type says something", () => holds(typeProblems, sources))

Deno.test("nothing is left unfinished, and no machine is named", () => holds(textProblems, texts))

Deno.test("the lock files name no host, and a start fetches no browser", () => {
  const lock = Deno.readTextFileSync(`${root}/deno.lock`)
  assert.deepEqual(lockProblems(lock), [])
  assert.deepEqual(lockProblems(Deno.readTextFileSync(`${root}/tests/deno.lock`)), [])
  // Every package of the lock file beside `deno.json` is fetched by every task.
  assert.ok(!/chromium|playwright|axe-core/.test(lock), "deno.lock holds what only tests need")
})

Deno.test("every dependency is one exact version", () => {
  const { imports } = JSON.parse(texts.get("deno.json") ?? "{}")
  assert.ok(Object.keys(imports).length > 5)
  assert.deepEqual(pinProblems(imports), [])
})

Deno.test("documents name only tasks and files that exist", () => {
  const tasks = new Set(Object.keys(JSON.parse(texts.get("deno.json") ?? "{}").tasks))
  const documents = new Map([...texts].filter(([path]) => /^[A-Z]+\.md$/.test(path)))
  assert.ok(documents.has("CONTRIBUTING.md"))
  holds((path, source) => documentProblems(path, source, tasks, new Set(texts.keys())), documents)
})

Deno.test("documentProblems() reports a task and a file that are not there", () => {
  const text =
    "run `deno task ok`\nor `npx --yes deno@2.9.6 task nok`, see `a/b.ts`, `a/c.ts` and `x.ts`"
  assert.deepEqual(documentProblems("X.md", text, new Set(["ok"]), new Set(["a/b.ts"])), [
    "X.md:2 names deno task nok, which deno.json does not have",
    "X.md:2 names a/c.ts, which is not there",
  ])
})

const bad: ReadonlyArray<[Rule, string, string, RegExp]> = [
  [
    importProblems,
    "domain/order.ts",
    'import { x } from "../actors/feed.ts"',
    /domain\/order\.ts imports actors\/feed\.ts: domain may import nothing/,
  ],
  [
    importProblems,
    "domain/order.ts",
    'import { Effect } from "effect"',
    /imports Effect of effect/,
  ],
  [
    importProblems,
    "domain/order.ts",
    'import {\n  type Layer as L,\n  Schema,\n} from "effect"',
    /imports Layer of effect/,
  ],
  [importProblems, "domain/order.ts", 'import { join } from "node:path"', /imports node:path/],
  [
    importProblems,
    "strategies/x.ts",
    'export * from "../venues/broker.ts"',
    /imports venues\/broker\.ts/,
  ],
  [
    importProblems,
    "actors/feed.ts",
    'import { b } from "../venues/binance/broker.ts"',
    /imports venues\/binance\/broker\.ts/,
  ],
  [
    importProblems,
    "actors/feed.ts",
    'import type { K } from "../storage/kv.ts"',
    /imports storage\/kv\.ts/,
  ],
  [importProblems, "actors/feed.ts", 'import { limits } from "../config.ts"', /imports config\.ts/],
  [
    importProblems,
    "actors/feed.ts",
    'import { s } from "../strategies/mod.ts"',
    /imports strategies\/mod\.ts/,
  ],
  [
    importProblems,
    "actors/runtime/cell.ts",
    'import { z } from "../../domain/decimal.ts"',
    /actors\/runtime may import nothing/,
  ],
  [
    importProblems,
    "actors/runtime/cell.ts",
    'import { z } from "../journal.ts"',
    /actors\/runtime may import nothing/,
  ],
  [
    importProblems,
    "views/page.tsx",
    'const x = await import("../http/app.tsx")',
    /imports http\/app\.tsx/,
  ],
  [importProblems, "views/page.tsx", 'import { Effect } from "effect"', /views may use hono\//],
  [importProblems, "http/app.tsx", 'import "../main.ts"', /imports main\.ts/],
  [
    importProblems,
    "actors/tree.ts",
    'import { Venues } from "../assembly/venues.ts"',
    /imports assembly\/venues\.ts/,
  ],
  [
    importProblems,
    "venues/binance/rest.ts",
    'import { v } from "../simulator/exchange.ts"',
    /imports venues\/simulator\/exchange\.ts/,
  ],
  [
    importProblems,
    "venues/broker.ts",
    'import { v } from "./binance/rest.ts"',
    /imports venues\/binance\/rest\.ts/,
  ],
  [
    importProblems,
    "storage/event_store.ts",
    'import { v } from "./kv.ts"',
    /imports storage\/kv\.ts/,
  ],
  [
    importProblems,
    "config.ts",
    'import { v } from "./actors/feed.ts"',
    /settings may import domain/,
  ],
  [importProblems, "misc/x.ts", "", /misc\/ has no rule/],
  [ambientProblems, "domain/x.ts", "const t = Date.now()", /domain\/x\.ts:1 uses Date\.now/],
  [ambientProblems, "actors/x.ts", "\nconst t = new Date( )", /actors\/x\.ts:2 uses new Date/],
  [ambientProblems, "actors/x.ts", "setTimeout(go, 1)", /uses setTimeout/],
  [ambientProblems, "venues/x/y.ts", "const id = crypto.randomUUID()", /uses randomUUID/],
  [ambientProblems, "strategies/x.ts", "const f = Math.random", /uses Math\.random/],
  [platformProblems, "http/x.ts", "const kv = await Deno.openKv()", /only storage\/ may/],
  [platformProblems, "actors/x.ts", "Deno.exit(1)", /uses the platform/],
  [platformProblems, "views/x.tsx", 'process.env["X"]', /uses the platform/],
  [typeProblems, "http/x.ts", "const x: any = 1", /http\/x\.ts:1 says any/],
  [typeProblems, "http/x.ts", "f(x as any)", /says any/],
  [typeProblems, "http/x.ts", "const x = new Map<string, any>()", /says any/],
  [textProblems, "README.md", `a\n// ${"TO" + "DO"}: more`, /README\.md:2 is unfinished/],
  [textProblems, "README.md", `see ${["", "home", "me", "x"].join("/")}`, /names a folder/],
  [textProblems, "README.md", `file://${["", "root", ".cache"].join("/")}`, /names a folder/],
  [
    (_, source) => lockProblems(source),
    "deno.lock",
    '{\n "tarball": "x" }',
    /deno\.lock:2 names a host/,
  ],
]

for (const [rule, path, source, says] of bad) {
  Deno.test(`a bad sample is reported: ${path}: ${JSON.stringify(source).slice(0, 70)}`, () => {
    const problems = rule(path, source)
    assert.equal(problems.length, 1, problems.join("\n"))
    assert.match(problems[0] ?? "", says)
  })
}

const good: ReadonlyArray<[Rule, string, string]> = [
  [
    importProblems,
    "domain/order.ts",
    'import { Option, Schema } from "effect"\nimport { a } from "./decimal.ts"',
  ],
  [
    importProblems,
    "actors/feed.ts",
    'import { b } from "../venues/broker.ts"\nimport { s } from "./runtime/mod.ts"',
  ],
  [importProblems, "actors/journal.ts", 'import type { E } from "../storage/event_store.ts"'],
  [importProblems, "views/pages/x.tsx", 'import { f } from "../format.ts"'],
  [
    importProblems,
    "venues/binance/rest.ts",
    'import { d } from "./decode.ts"\nimport { b } from "../broker.ts"',
  ],
  [importProblems, "main.ts", 'import { x } from "./storage/kv.ts"'],
  [importProblems, "domain/x.ts", '// import { x } from "../actors/feed.ts"'],
  [ambientProblems, "http/x.ts", "setTimeout(go, 1)"],
  [
    ambientProblems,
    "domain/x.ts",
    "// never Date.now()\n/* Math.random */ const d = new Date(time)",
  ],
  [typeProblems, "http/x.ts", "// any order\nconst text = 'as any'.length ? any(x) : 1"],
  [textProblems, "README.md", "GET /api/v1/home/x and ./work/x and tests/root/x"],
]

for (const [rule, path, source] of good) {
  Deno.test(`a good sample passes: ${path}: ${JSON.stringify(source).slice(0, 70)}`, () => {
    assert.deepEqual(rule(path, source), [])
  })
}

Deno.test("areaOf() tells ports, adapters, settings and roots apart", () => {
  const areas = {
    "domain/order.ts": "domain",
    "actors/feed.ts": "actors",
    "actors/runtime/cell.ts": "actors/runtime",
    "venues/broker.ts": "venues",
    "venues/binance/broker.ts": "venues/*",
    "venues/simulator/main.ts": "root",
    "storage/kv.ts": "storage",
    "storage/event_store.ts": "storage/event_store.ts",
    "config.ts": "settings",
    "keys.ts": "settings",
    "main.ts": "root",
    "assembly/venues.ts": "root",
    "decode.ts": "root",
    "views/components/table.tsx": "views",
  }
  for (const [path, area] of Object.entries(areas)) assert.equal(areaOf(path), area)
})

Deno.test("importsOf() reads every form of import, over lines, and none in comments", () => {
  const source = `
    import a from "./a.ts"
    import {
      type B,
      c as d,
    } from "./b.ts"
    import * as e from './e.ts'
    export { f } from "./f.ts"
    export * from "./g.ts"
    import "./h.ts"
    const i = await import("./i.ts")
    /* import j from "./j.ts" */ const url = "http://x" // import k from "./k.ts"
    import l from "./l.ts"
  `
  assert.deepEqual(
    importsOf(source).map(({ specifier }) => specifier.slice(2, 3)).join(""),
    "abefghil",
  )
  assert.deepEqual(importsOf(source)[1]?.names, ["B", "c"])
})

Deno.test("codeOf() takes comments out, keeps text and line numbers", () => {
  assert.equal(codeOf('a // b\nc("//d") /* e\nf */ g'), 'a     \nc("//d")     \n     g')
})

Deno.test("pinProblems() reports ranges and other registries", () => {
  const problems = pinProblems({
    good: "npm:effect@4.1.0",
    "good/": "npm:/effect@4.1.0/",
    scoped: "npm:@types/ws@8.18.2",
    range: "npm:effect@^4.1.0",
    open: "npm:effect",
    jsr: "jsr:@std/assert@1.0.0",
  })
  assert.deepEqual(problems.map((line) => line.split(" ")[1]), ["range", "open", "jsr"])
})
