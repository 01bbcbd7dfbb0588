/** Whatever is wrong with the input is said in one line, and leaves nothing behind. */
import assert from "node:assert/strict"
import { Process, startKeel, temporaryFolder } from "./process.ts"
import { addressesOf, binanceKeys, binanceUrls } from "./venue.ts"

interface Case {
  readonly name: string
  /** Files of the folder before the start. */
  readonly files?: Readonly<Record<string, string>>
  readonly args: (folder: string) => ReadonlyArray<string>
  readonly code: number
  readonly line: RegExp
}

const cases: ReadonlyArray<Case> = [
  {
    name: "an unknown strategy",
    files: {
      "keel.json": `{ "strategies": [{ "strategy": "macd", "instrument": "BTC/USDT.BINANCE" }] }`,
    },
    args: (folder) => ["--config", `${folder}/keel.json`],
    code: 1,
    line: /keel\.json: strategies\[0\]\.strategy must be one of .*, got "macd"/,
  },
  {
    name: "a parameter that is not a number",
    files: {
      "keel.json": `{ "strategies": [
        { "strategy": "rsi_momentum", "instrument": "BTC/USDT.BINANCE" },
        { "strategy": "rsi_momentum", "instrument": "ETH/USDT.BINANCE", "params": { "period": "x" } }
      ] }`,
    },
    args: (folder) => ["--config", `${folder}/keel.json`],
    code: 1,
    line: /keel\.json: strategies\[1\]\.params\.period must be an integer >= 2, got "x"/,
  },
  {
    name: "a configuration that is not JSON",
    files: { "keel.json": `{ "mode": "sim",, }` },
    args: (folder) => ["--config", `${folder}/keel.json`],
    code: 1,
    line: /keel\.json:1:\d+ is not JSON/,
  },
  {
    name: "a configuration that is not there",
    args: (folder) => ["--config", `${folder}/none.json`],
    code: 1,
    line: /none\.json does not exist/,
  },
  {
    name: "live without what live needs",
    files: { "keel.json": `{ "mode": "live" }` },
    args: (folder) => ["--config", `${folder}/keel.json`],
    code: 1,
    line: /mode live is refused/,
  },
  {
    name: "paper without keys",
    files: { "keel.json": `{ "mode": "paper" }` },
    args: (folder) => ["--config", `${folder}/keel.json`],
    code: 1,
    line: /BINANCE_API_KEY and BINANCE_API_SECRET/,
  },
  {
    name: "a recording that is not there",
    args: (folder) => ["--replay", `${folder}/none.jsonl.gz`],
    code: 1,
    line: /none\.jsonl\.gz/,
  },
  {
    name: "a recording that is none",
    files: { "text.jsonl": "good morning\n" },
    args: (folder) => ["--replay", `${folder}/text.jsonl`],
    code: 1,
    line: /text\.jsonl/,
  },
  { name: "an unknown option", args: () => ["--prot", "1"], code: 2, line: /--prot.*--port/ },
  { name: "a port that is none", args: () => ["--port", "99999"], code: 2, line: /--port must be/ },
  {
    name: "an address for everybody without a password",
    args: () => ["--host", "0.0.0.0"],
    code: 2,
    line: /no password is set/,
  },
  {
    name: "a data folder that is a file",
    files: { file: "" },
    args: (folder) => ["--data", `${folder}/file`],
    code: 1,
    line: /file/,
  },
]

for (const { name, files = {}, args, code, line } of cases) {
  Deno.test(`bad input: ${name}`, async () => {
    await using folder = await temporaryFolder()
    for (const [file, text] of Object.entries(files)) {
      Deno.writeTextFileSync(`${folder.path}/${file}`, text)
    }
    const given = args(folder.path)
    const where = given.includes("--data") ? [] : ["--data", `${folder.path}/data`]
    const port = given.includes("--port") ? [] : ["--port", "0"]
    await using keel = new Process("start", [...port, ...where, ...given])
    const status = await keel.status()
    assert.equal(status.code, code, keel.stderr)
    assert.match(keel.stderr, line)
    assert.equal(keel.stderr.trimEnd().split("\n").length, 1, keel.stderr)
    assert.equal(keel.stdout, "")
    const left = [...Deno.readDirSync(folder.path)].map((entry) => entry.name)
    assert.deepEqual(left.toSorted(), Object.keys(files).toSorted(), "nothing was written")
  })
}

for (const damaged of ["keel.db", "venue.db", "alpaca.db"]) {
  Deno.test(`bad input: a damaged ${damaged} is named and left as it is`, async () => {
    await using folder = await temporaryFolder()
    const { keel } = await startKeel(["--data", folder.path])
    keel.signal("SIGTERM")
    await keel.status()
    for (const { name } of Deno.readDirSync(folder.path)) {
      if (name.startsWith(damaged)) Deno.removeSync(`${folder.path}/${name}`)
    }
    const path = `${folder.path}/${damaged}`
    Deno.writeTextFileSync(path, "this is no database, and never was one\n".repeat(200))
    const before = Deno.readTextFileSync(path)
    await using again = new Process("start", ["--port", "0", "--data", folder.path])
    const { code } = await again.status()
    assert.equal(code, 1)
    assert.match(again.stderr, new RegExp(`^keel: .*${damaged}`))
    assert.equal(again.stderr.trimEnd().split("\n").length, 1, again.stderr)
    assert.equal(Deno.readTextFileSync(path), before)
  })
}

Deno.test("bad input: a wrong key is refused by the venue, in one line without it", async () => {
  await using folder = await temporaryFolder()
  await using venue = new Process("venue", ["--port", "0"])
  const { binance } = await addressesOf(venue)
  const config = `${folder.path}/keel.json`
  Deno.writeTextFileSync(
    config,
    JSON.stringify({ mode: "paper", venues: { binance: binanceUrls(binance) } }),
  )
  for (
    const [key, secret] of [["a-wrong-key", "s3cret"], [binance.key, "a-wrong-s3cret"]] as const
  ) {
    await using keel = new Process(
      "start",
      ["--port", "0", "--data", `${folder.path}/data`, "--config", config],
      binanceKeys({ ...binance, key, secret }),
    )
    const { code } = await keel.status()
    assert.equal(code, 1)
    assert.match(keel.stderr, /^keel: binance: .*check BINANCE_API_KEY and BINANCE_API_SECRET\n$/)
    assert.ok(!keel.stderr.includes("s3cret") && !keel.stderr.includes(key), keel.stderr)
    assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["keel.json"])
  }
})
