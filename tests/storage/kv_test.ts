/** What only a file can do wrong: be damaged, be taken, be written by two, or lose its process. */
import assert from "node:assert/strict"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, Exit } from "effect"
import { type EventStore, StoreError } from "../../storage/event_store.ts"
import { fileName, lockName, openKvEventStore, takeOver } from "../../storage/kv.ts"
import { storeError } from "../../storage/kv_file.ts"

const crashWriter = fileURLToPath(new URL("./crash_writer.ts", import.meta.url))

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "keel_storage_" })
  try {
    await body(join(root, "data"))
  } finally {
    await Deno.chmod(root, 0o700)
    await Deno.remove(root, { recursive: true })
  }
}

function using<A>(
  folder: string,
  body: (store: EventStore) => Effect.Effect<A, StoreError>,
): Promise<A> {
  return Effect.runPromise(Effect.scoped(Effect.flatMap(openKvEventStore({ folder }), body)))
}

/** The one line with which opening fails. */
async function refusal(folder: string): Promise<string> {
  const opened = Effect.scoped(openKvEventStore({ folder }))
  const error = await Effect.runPromise(Effect.flip(opened))
  assert.ok(error instanceof StoreError)
  assert.doesNotMatch(error.message, /\n/)
  return error.message
}

function append(store: EventStore, after: number, count: number): Effect.Effect<void, StoreError> {
  return store.append(Array.from({ length: count }, (_, index) => ({
    seq: after + index + 1,
    time: index,
    epoch: store.epoch,
    event: { text: "x".repeat(500) },
  })))
}

/** Names and contents of everything below, to see that nothing was written. */
async function contents(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for await (const { name, isFile } of Deno.readDir(folder)) {
    const bytes = isFile ? await Deno.readFile(join(folder, name)) : new Uint8Array()
    found[name] = `${bytes.length} ${(await crypto.subtle.digest("SHA-256", bytes).then(hex))}`
  }
  return found
}

const hex = (digest: ArrayBuffer) => new Uint8Array(digest).toHex()

Deno.test("openKvEventStore() creates the folder, and leaves one file when it closes", () =>
  inFolder(async (folder) => {
    await using(join(folder, "deep"), (store) => append(store, 0, 3))
    const names = [...Deno.readDirSync(join(folder, "deep"))].map(({ name }) => name)
    assert.deepEqual(names, [fileName])
    assert.equal(await using(join(folder, "deep"), (store) => store.head), 3)
  }))

Deno.test("openKvEventStore() refuses a second opening, and names who has the folder", () =>
  inFolder(async (folder) => {
    await using(folder, (store) =>
      Effect.gen(function* () {
        yield* append(store, 0, 1)
        const line = yield* Effect.promise(() => refusal(folder))
        assert.equal(
          line,
          `another Keel is using ${folder} (pid ${Deno.pid}); ` +
            "stop it, or choose another folder with --data",
        )
        yield* append(store, 1, 1)
      }))
    assert.equal(await using(folder, (store) => store.head), 2)
  }))

Deno.test("openKvEventStore() gives the folder to the next one the moment it closes", () =>
  inFolder(async (folder) => {
    for (let epoch = 1; epoch <= 5; epoch++) {
      assert.equal(await using(folder, (store) => Effect.succeed(store.epoch)), epoch)
    }
  }))

Deno.test("openKvEventStore() removes what a crash left of creating the file", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(folder)
    await Deno.writeTextFile(join(folder, `${fileName}.new`), "half")
    await Deno.writeTextFile(join(folder, lockName), "pid 1\n")
    await using(folder, (store) => append(store, 0, 1))
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), [fileName])
  }))

const damages: Record<string, [(bytes: Uint8Array) => Uint8Array, RegExp]> = {
  "that is not a database": [
    () => new TextEncoder().encode("bytes of something else"),
    /not a Keel/,
  ],
  "that is empty": [() => new Uint8Array(), /it is empty/],
  "of a few bytes": [(bytes) => bytes.slice(0, 9), /not a Keel database/],
  "cut off after its header": [(bytes) => bytes.slice(0, 100), /not a readable database/],
  "cut off in the middle": [(bytes) => bytes.slice(0, bytes.length / 2), /not a readable database/],
  "with pages of garbage": [
    (bytes) => bytes.map((byte, at) => at < 40_000 || at > 80_000 ? byte : (at * 7) & 255),
    /its pages do not add up|not a readable database/,
  ],
}

for (const [name, [damage, says]] of Object.entries(damages)) {
  Deno.test(`openKvEventStore() refuses a file ${name}, and writes nothing`, () =>
    inFolder(async (folder) => {
      await using(folder, (store) => append(store, 0, 400))
      const path = join(folder, fileName)
      await Deno.writeFile(path, damage(await Deno.readFile(path)))
      const before = await contents(folder)
      const line = await refusal(folder)
      assert.match(line, says)
      assert.ok(line.startsWith(`${path} is damaged: `), line)
      assert.deepEqual(await contents(folder), before)
    }))
}

Deno.test("openKvEventStore() refuses a folder that is a file, and a file that is a folder", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(folder, "mine")
    assert.equal(await refusal(folder), `${folder}: it is not a folder; choose another one`)
    assert.match(await refusal(join(folder, "below")), /not a folder/)
    assert.equal(await Deno.readTextFile(folder), "mine")
    await Deno.remove(folder)
    await Deno.mkdir(join(folder, fileName), { recursive: true })
    assert.match(await refusal(folder), /keel\.db: it is a folder where a file should be/)
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), [fileName])
  }))

Deno.test({
  name: "openKvEventStore() refuses an unwritable folder and a read-only file",
  // The superuser may write anywhere, and Windows has no such modes: there the line is shown
  // below, from a child without the permission.
  ignore: Deno.build.os === "windows" || Deno.uid() === 0,
  fn: () =>
    inFolder(async (folder) => {
      await using(folder, (store) => append(store, 0, 1))
      const path = join(folder, fileName)
      await Deno.chmod(path, 0o400)
      assert.match(await refusal(folder), /keel\.db: it cannot be written; check its owner/)
      await Deno.chmod(path, 0o600)
      await Deno.chmod(folder, 0o500)
      const line = await refusal(folder)
      await Deno.chmod(folder, 0o700)
      assert.match(line, /: it cannot be written; check its owner/)
    }),
})

Deno.test("openKvEventStore() refuses a file and a folder outside the permissions", () =>
  inFolder(async (folder) => {
    await using(folder, (store) => append(store, 0, 1))
    const path = join(folder, fileName)
    const before = await contents(folder)
    const readOnly = await write(folder, "1", [`--allow-read`])
    assert.equal(readOnly.code, 1)
    assert.match(readOnly.said, /data: Deno may not use it; start it with a folder inside its/)
    const fileReadOnly = await write(folder, "1", [
      "--allow-read",
      `--allow-write=${folder}`,
      `--deny-write=${path}`,
    ])
    assert.equal(fileReadOnly.code, 1)
    assert.match(fileReadOnly.said, /keel\.db: Deno may not use it/)
    assert.deepEqual(await contents(folder), before)
  }))

Deno.test({
  name: "append() says in one line that the disk takes no more, and loses nothing acknowledged",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async (folder) => {
      await using(folder, (store) => append(store, 0, 1))
      // 512 KiB in 1 KiB or 512 byte units, as the shell counts: either is soon reached.
      const limited = await run("sh", [
        "-c",
        `trap '' XFSZ; ulimit -f 1000; exec "$@"`,
        "sh",
        ...denoArguments(folder, "100000", ["-A"]),
      ])
      assert.equal(limited.code, 1)
      assert.match(limited.said, /keel\.db: the disk (refuses to write|is full)/)
      const acknowledged = lastNumber(limited.out)
      assert.ok(acknowledged > 1)
      await using(folder, (store) =>
        Effect.gen(function* () {
          const head = yield* store.head
          assert.ok(head >= acknowledged, `${head} stored, ${acknowledged} acknowledged`)
        }))
    }),
})

const breakages: Record<string, [(kv: Deno.Kv) => Promise<unknown>, RegExp]> = {
  "a missing event": [(kv) => kv.delete(["j", "keel", 3]), /event 3 is missing/],
  "a missing first event": [(kv) => kv.delete(["j", "keel", 1]), /event 1 is missing/],
  "a missing last event": [(kv) => kv.delete(["j", "keel", 6]), /its last event is 5, its head 6/],
  "an unreadable event": [
    (kv) => kv.set(["j", "keel", 3], new TextEncoder().encode("{}")),
    /event 3 is unreadable/,
  ],
  "an event beyond its head": [
    (kv) => kv.set(["head", "keel"], 5),
    /its last event is 6, its head 5/,
  ],
  "a head that is no number": [(kv) => kv.set(["head", "keel"], "6"), /its head is not a sequence/],
  "an epoch that goes back": [
    (kv) => rewriteEpoch(kv, 3, 1, 0),
    /event 3 has epoch 0 after epoch 1/,
  ],
  "events of a later epoch than its lease": [
    (kv) => kv.delete(["lease", "trader", "epoch"]),
    /its events are of epoch 2, its lease of 0/,
  ],
  "a layout of a later Keel": [
    (kv) => kv.set(["meta", "schema"], 2),
    /its layout is version 2, this Keel knows 1; use the Keel that wrote it/,
  ],
}

async function rewriteEpoch(kv: Deno.Kv, seq: number, from: number, to: number): Promise<void> {
  const { value } = await kv.get(["j", "keel", seq])
  assert.ok(value instanceof Uint8Array)
  const body = new TextDecoder().decode(value)
  assert.match(body, new RegExp(`"epoch":${from}`))
  await kv.set(
    ["j", "keel", seq],
    new TextEncoder().encode(body.replace(`"epoch":${from}`, `"epoch":${to}`)),
  )
}

for (const [name, [breakIt, says]] of Object.entries(breakages)) {
  Deno.test(`openKvEventStore() refuses a journal with ${name}`, () =>
    inFolder(async (folder) => {
      await using(folder, (store) => append(store, 0, 4))
      await using(folder, (store) => append(store, 4, 2))
      const kv = await Deno.openKv(join(folder, fileName))
      await breakIt(kv)
      kv.close()
      assert.match(await refusal(folder), says)
    }))
}

Deno.test("openKvEventStore() checks only what no snapshot contains", () =>
  inFolder(async (folder) => {
    await using(
      folder,
      (store) => Effect.andThen(append(store, 0, 6), store.saveSnapshot(4, { upTo: 4 })),
    )
    const kv = await Deno.openKv(join(folder, fileName))
    await kv.delete(["j", "keel", 2])
    kv.close()
    assert.equal(await using(folder, (store) => store.head), 6)
  }))

Deno.test("loadSnapshot falls back to the one before when the newest is torn", () =>
  inFolder(async (folder) => {
    const large = { text: "x".repeat(150_000) }
    const tears: ReadonlyArray<(kv: Deno.Kv) => Promise<unknown>> = [
      (kv) => kv.delete(["snapshot", "keel", 2]),
      (kv) => kv.delete(["snap", "keel", 2, 1]),
      (kv) => kv.set(["snap", "keel", 2, 2], new Uint8Array(3)),
      (kv) => kv.set(["snapshot", "keel", 2], "parts"),
    ]
    await using(folder, (store) => append(store, 0, 2))
    for (const tear of tears) {
      await using(
        folder,
        (store) => Effect.andThen(store.saveSnapshot(1, "older"), store.saveSnapshot(2, large)),
      )
      const kv = await Deno.openKv(join(folder, fileName))
      await tear(kv)
      kv.close()
      await using(folder, (store) =>
        Effect.gen(function* () {
          const loaded = yield* store.loadSnapshot
          assert.deepEqual(loaded._tag === "Some" && loaded.value, { seq: 1, value: "older" })
          yield* store.saveSnapshot(2, large)
          const repaired = yield* store.loadSnapshot
          assert.deepEqual(repaired._tag === "Some" && repaired.value, { seq: 2, value: large })
        }))
    }
  }))

Deno.test("saveSnapshot() keeps two, and no part of the others", () =>
  inFolder(async (folder) => {
    await using(folder, (store) =>
      Effect.gen(function* () {
        yield* append(store, 0, 9)
        for (let seq = 1; seq <= 9; seq++) yield* store.saveSnapshot(seq, "x".repeat(130_000))
      }))
    const kv = await Deno.openKv(join(folder, fileName))
    const rows = await Array.fromAsync(kv.list({ prefix: [] }), ({ key }) => key.join(" "))
    kv.close()
    assert.deepEqual(rows.filter((key) => key.startsWith("snap")), [
      ...[0, 1, 2].map((part) => `snap keel 8 ${part}`),
      ...[0, 1, 2].map((part) => `snap keel 9 ${part}`),
      "snapshot keel 8",
      "snapshot keel 9",
    ])
  }))

Deno.test("append() by several writers at once: one epoch wins, and no event is lost or doubled", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(folder)
    const path = join(folder, fileName)
    const handles: Array<Deno.Kv> = []
    for (let opened = 0; opened < 3; opened++) handles.push(await Deno.openKv(path))
    // Each takes over in turn while the others go on: what the file lock forbids, the fence bears.
    const race = Effect.forEach(handles, (kv) =>
      Effect.gen(function* () {
        let acknowledged = 0
        for (let round = 0; round < 5; round++) {
          const store = yield* takeOver(kv, path).pipe(
            Effect.retry({ while: (error) => error.reason._tag === "Fenced", times: 20 }),
          )
          const head = yield* store.head
          for (let step = 0; step < 10; step++) {
            const exit = yield* Effect.exit(append(store, head + step, 1))
            if (Exit.isFailure(exit)) break
            acknowledged += 1
          }
        }
        return acknowledged
      }), { concurrency: "unbounded" })
    const acknowledged = await Effect.runPromise(race)
    for (const kv of handles) kv.close()
    const total = acknowledged.reduce((sum, count) => sum + count, 0)
    assert.ok(total > 0)
    await using(folder, (store) =>
      Effect.gen(function* () {
        assert.equal(yield* store.head, total)
        const stored = yield* store.read(0, total + 1)
        assert.deepEqual(stored.map(({ seq }) => seq), stored.map((_, index) => index + 1))
      }))
  }))

/** The same database, whose commits go through `around`. */
function disturbed(
  kv: Deno.Kv,
  around: (commit: () => Promise<Deno.KvCommitResult | Deno.KvCommitError>) => ReturnType<
    Deno.AtomicOperation["commit"]
  >,
): Deno.Kv {
  return new Proxy(kv, {
    get(target, name) {
      if (name !== "atomic") {
        const member: unknown = Reflect.get(target, name)
        return typeof member === "function" ? member.bind(target) : member
      }
      return () => {
        const operation = target.atomic()
        const commit = operation.commit.bind(operation)
        operation.commit = () => around(commit)
        return operation
      }
    },
  })
}

Deno.test("append() tries again while another connection has the file, and writes once", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(folder)
    const kv = await Deno.openKv(join(folder, fileName))
    let refusals = 0
    const busy = disturbed(kv, (commit) => {
      if (refusals % 4 === 3) return (refusals = 0, commit())
      refusals += 1
      return Promise.reject(new TypeError("database is locked"))
    })
    await Effect.runPromise(Effect.gen(function* () {
      const store = yield* takeOver(busy, "keel.db")
      yield* append(store, 0, 2)
      yield* append(store, 2, 1)
      assert.equal((yield* store.read(0, 10)).length, 3)
    }))
    kv.close()
  }))

Deno.test("append() gives up in one line when the file stays locked", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(folder)
    const kv = await Deno.openKv(join(folder, fileName))
    let locked = false
    const stuck = disturbed(
      kv,
      (commit) => locked ? Promise.reject(new TypeError("database is locked")) : commit(),
    )
    const error = await Effect.runPromise(Effect.gen(function* () {
      const store = yield* takeOver(stuck, "keel.db")
      locked = true
      return yield* Effect.flip(append(store, 0, 1))
    }))
    kv.close()
    assert.ok(error instanceof StoreError)
    assert.match(error.message, /another process keeps the file locked/)
  }))

Deno.test("append() whose outcome is unclear is not repeated: the head is read again", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(folder)
    const kv = await Deno.openKv(join(folder, fileName))
    let lost: "reply" | "request" | undefined
    const unreliable = disturbed(kv, async (commit) => {
      const result = lost === "request" ? undefined : await commit()
      if (lost !== undefined || result === undefined) throw new TypeError("connection lost")
      return result
    })
    await Effect.runPromise(Effect.gen(function* () {
      const store = yield* takeOver(unreliable, "keel.db")
      for (const [kind, stored] of [["request", 0], ["reply", 1]] as const) {
        lost = kind
        const error = yield* Effect.flip(append(store, 0, 1))
        assert.match(error.message, /^keel\.db: connection lost$/)
        lost = undefined
        assert.equal(yield* store.head, stored)
      }
      const repeat = yield* Effect.flip(append(store, 0, 1))
      assert.equal(repeat.reason._tag, "Refused")
      yield* append(store, 1, 1)
    }))
    kv.close()
  }))

Deno.test("storeError() names what to do about each failure", () => {
  const lines: ReadonlyArray<[unknown, RegExp]> = [
    [new TypeError("database or disk is full"), /the disk is full; free some space/],
    [new Error("No space left on device (os error 28)"), /the disk is full/],
    [new TypeError("attempt to write a readonly database"), /it cannot be written; check/],
    [new Deno.errors.PermissionDenied("Permission denied (os error 13)"), /it cannot be written/],
    [new TypeError("database is locked"), /another process keeps the file locked/],
    [new Deno.errors.BadResource("Bad resource ID"), /already closed/],
    [new Deno.errors.NotFound("No such file"), /cannot be created; check the path/],
    [new TypeError("database disk image is malformed"), /is damaged: it is not a readable/],
    [new Error("something new\nwith a second line"), /^keel\.db: something new$/],
    ["not even an error", /^keel\.db: not even an error$/],
  ]
  for (const [thrown, says] of lines) assert.match(storeError("keel.db", thrown).message, says)
})

Deno.test("kill -9 at random moments loses no acknowledged event", () =>
  inFolder(async (folder) => {
    let acknowledged = 0
    for (let round = 0; round < 6; round++) {
      const child = new Deno.Command(Deno.execPath(), {
        args: denoArguments(folder, "1000000", ["-A"]).slice(1),
        stdout: "piped",
        stderr: "piped",
      }).spawn()
      const said = new Response(child.stderr).text()
      // Acknowledgements start the clock, so that each round kills a busy writer.
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader()
      let out = ""
      while (out.split("\n").length <= 20) {
        const next = await reader.read()
        assert.ok(!next.done, await Promise.race([said, Promise.resolve("no output")]))
        out += next.value
      }
      const fuse = setTimeout(() => child.kill("SIGKILL"), 20 + Math.random() * 200)
      for (let next = await reader.read(); !next.done; next = await reader.read()) out += next.value
      const status = await child.status
      clearTimeout(fuse)
      assert.equal(status.signal, "SIGKILL", await said)
      await said
      // A line that the kill cut off was not an acknowledgement yet.
      acknowledged = lastNumber(out.slice(0, out.lastIndexOf("\n") + 1))
      await using(folder, (store) =>
        Effect.gen(function* () {
          const head = yield* store.head
          assert.ok(head >= acknowledged, `round ${round}: ${head} of ${acknowledged} events`)
          const stored = yield* store.read(0, head + 1)
          assert.equal(stored.length, head)
          for (const [index, { seq }] of stored.entries()) assert.equal(seq, index + 1)
        }))
    }
    assert.ok(acknowledged > 100, `only ${acknowledged} events were written`)
  }))

function denoArguments(
  folder: string,
  count: string,
  permissions: ReadonlyArray<string>,
): Array<string> {
  const flags = ["run", "--no-prompt", "--unstable-kv", ...permissions]
  return [Deno.execPath(), ...flags, crashWriter, folder, count]
}

function write(folder: string, count: string, permissions: ReadonlyArray<string>) {
  const [command, ...rest] = denoArguments(folder, count, permissions)
  assert.ok(command)
  return run(command, rest)
}

async function run(command: string, args: ReadonlyArray<string>) {
  const output = await new Deno.Command(command, { args: [...args] }).output()
  return {
    code: output.code,
    out: new TextDecoder().decode(output.stdout),
    said: new TextDecoder().decode(output.stderr),
  }
}

function lastNumber(lines: string): number {
  return Number(lines.trimEnd().split("\n").at(-1))
}
