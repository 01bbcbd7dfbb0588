import assert from "node:assert/strict"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import { openAlpacaLedger } from "../../../../storage/alpaca_ledger_kv.ts"

const writer = fileURLToPath(new URL("./trading_writer.ts", import.meta.url))
const lock = fileURLToPath(new URL("../../../deno.lock", import.meta.url))

/** What the writer said before it was killed without warning. */
async function killedAfter(
  lines: number,
  path: string,
  run: string,
): Promise<Array<Array<string>>> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", `--lock=${lock}`, writer, path, run],
    stdout: "piped",
    stderr: "null",
  }).spawn()
  let text = ""
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk
    if (text.split("\n").length > lines) child.kill("SIGKILL")
  }
  await child.status
  // The last line may have been cut.
  return text.split("\n").slice(0, -1).map((line) => line.split(" "))
}

Deno.test("killed at any moment it has kept all it said, and repeats no id", async () => {
  const folder = await Deno.makeTempDir()
  try {
    const path = `${folder}/alpaca.kv`
    const said = new Array<Array<string>>()
    for (const [run, lines] of [["first", 140], ["second", 290], ["third", 161]] as const) {
      said.push(...await killedAfter(lines, path, run))
    }
    const { orders, fills } = await Effect.runPromise(
      Effect.scoped(Effect.flatMap(openAlpacaLedger(path), ({ load }) => load)),
    )
    const kinds = (kind: string) => said.filter(([one]) => one === kind)
    const byClientId = new Map(orders.map((order) => [order.clientOrderId, order.id]))
    assert.ok(kinds("order").length > 50)
    for (const [, id, clientOrderId = ""] of kinds("order")) {
      assert.equal(byClientId.get(clientOrderId), id)
    }
    const kept = new Set(fills.map((fill) => fill.executionId))
    assert.ok(kinds("fill").length > 10)
    for (const [, id = ""] of kinds("fill")) assert.ok(kept.has(id), `${id} is lost`)
    const events = kinds("event").map(([, id]) => id)
    assert.equal(new Set(events).size, events.length)
    assert.deepEqual(events, events.toSorted())
    assert.equal(new Set(orders.map((order) => order.id)).size, orders.length)
    assert.equal(kept.size, fills.length)
    const bought = fills.reduce((sum, fill) => sum + fill.quantity, 0n)
    assert.equal(bought, orders.reduce((sum, order) => sum + order.filled, 0n))
  } finally {
    await Deno.remove(folder, { recursive: true })
  }
})
