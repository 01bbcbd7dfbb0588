import assert from "node:assert/strict"
import fc from "fast-check"
import { commandOf, decodeCommand, paramsOf } from "../../http/commands.ts"

const pause = { commandId: "c-1", type: "pause", scope: { kind: "all" } }

function complaint(input: unknown): string {
  const decoded = decodeCommand(input)
  return decoded._tag === "Malformed" ? decoded.message : "none"
}

Deno.test("decodeCommand() takes a complete command as it is", () => {
  assert.deepEqual(decodeCommand(pause), { _tag: "Command", command: pause })
})

Deno.test("decodeCommand() names every field that is wrong, and what it must be", () => {
  assert.match(complaint({ ...pause, commandId: "with spaces" }), /^commandId must be 1 to 64/)
  assert.match(complaint({ ...pause, type: "explode" }), /^type must be one of pause, resume/)
  assert.match(complaint({ ...pause, scope: { kind: "galaxy" } }), /^scope must be/)
  assert.match(complaint({ type: "x" }), /commandId.*; type.*; scope/)
  for (const input of [null, 7, "pause", []]) {
    assert.notEqual(complaint(input), "none", JSON.stringify(input))
  }
})

Deno.test("decodeCommand() asks for the parts a type cannot do without", () => {
  const scope = { kind: "position", id: "BTC/USDT.BINANCE" }
  assert.match(complaint({ ...pause, type: "override_position", scope }), /needs control/)
  assert.match(complaint({ ...pause, type: "swap_strategy", scope }), /needs strategy/)
  assert.match(complaint({ ...pause, scope: { kind: "order" } }), /needs an id/)
})

Deno.test("a complaint never repeats what was sent", () =>
  fc.assert(
    fc.property(
      fc.constantFrom("commandId", "type", "control", "strategy", "note", "params", "scope"),
      fc.stringMatching(/^<[a-z]{8,12}>$/),
      (field, secret) => {
        const message = complaint({ ...pause, [field]: [secret.repeat(60)] })
        assert.notEqual(message, "none")
        assert.ok(!message.includes(secret))
      },
    ),
  ))

Deno.test("commandOf() the same press twice is one command, two presses are two", () => {
  const fields = { commandId: "form-7" }
  const hold = (id: string) =>
    commandOf(fields, {
      type: "override_position",
      scope: { kind: "position", id },
      control: "hold",
    })
  assert.deepEqual(hold("BTC/USDT.BINANCE"), hold("BTC/USDT.BINANCE"))
  assert.notDeepEqual(hold("BTC/USDT.BINANCE"), hold("ETH/USDT.BINANCE"))
})

Deno.test("paramsOf() takes only the chosen strategy's, numbers as numbers", () => {
  const params = paramsOf({
    strategy: "mean_reversion",
    "param:mean_reversion:period": " 20 ",
    "param:mean_reversion:label": "slow",
    "param:rsi_momentum:period": "14",
  })
  assert.deepEqual(params, { period: 20, label: "slow" })
})
