import assert from "node:assert/strict"
import fc from "fast-check"
import {
  failed,
  freshLink,
  heardData,
  isFlapping,
  isMisbehaving,
  type Link,
  linkDefaults,
  type LinkFailure,
  type LinkPolicy,
  stableMsOf,
  type Wait,
} from "../../domain/link.ts"

const backoff = { baseMs: 500, capMs: 30_000, attemptsMax: 5 }
const policy: LinkPolicy = { ...linkDefaults, backoff }
const refused: LinkFailure = { _tag: "Unreachable" }
const busy: LinkFailure = { _tag: "SlotBusy" }
const told = (retryAfterMs: number): LinkFailure => ({ _tag: "Throttled", retryAfterMs })
const closedWith = (code: number): LinkFailure => ({ _tag: "Closed", code })

/** What is waited after each of `failures`, one straight after the other, at the highest chance. */
function waits(failures: ReadonlyArray<LinkFailure>, from: Link = freshLink) {
  let link = from
  let now = 0
  return failures.map((failure) => {
    const [next, wait] = failed(link, failure, now, 0.999999, policy)
    link = next
    now += wait.delayMs
    return { link, ...wait }
  })
}

const table: ReadonlyArray<
  readonly [string, LinkFailure, Pick<Wait, "rule" | "delayMs">, number]
> = [
  ["refused", refused, { rule: "backoff", delayMs: 500 }, 1],
  ["vanished", closedWith(1006), { rule: "backoff", delayMs: 500 }, 1],
  ["closed for a breach", closedWith(1008), { rule: "backoff", delayMs: 500 }, 1],
  ["silent in the handshake", { _tag: "Silent", what: "handshake" }, {
    rule: "backoff",
    delayMs: 500,
  }, 1],
  ["frozen", { _tag: "Silent", what: "connection" }, { rule: "backoff", delayMs: 500 }, 1],
  ["mute", { _tag: "Silent", what: "data" }, { rule: "backoff", delayMs: 500 }, 1],
  ["nonsense", { _tag: "Faulty" }, { rule: "backoff", delayMs: 500 }, 1],
  ["too fast for us", { _tag: "Overrun" }, { rule: "backoff", delayMs: 500 }, 1],
  ["told to wait", told(42_000), { rule: "rate_limited", delayMs: 42_000 }, 1],
  ["told to wait for no time", told(0), { rule: "rate_limited", delayMs: 500 }, 1],
  ["taken place", busy, { rule: "slot_busy", delayMs: 5_000 }, 0],
  ["forbidden", { _tag: "Forbidden" }, { rule: "forbidden", delayMs: 900_000 }, 1],
  ["announced", { _tag: "Announced" }, { rule: "planned", delayMs: 0 }, 0],
]
for (const [name, failure, expected, attempt] of table) {
  Deno.test(`failed() ${name}: ${expected.rule}, ${expected.delayMs} ms at most`, () => {
    const [first] = waits([failure])
    assert.deepEqual({ rule: first!.rule, delayMs: first!.delayMs }, expected)
    assert.equal(first!.link.attempt, attempt)
  })
}

Deno.test("failed() degrades with the fifth attempt, whatever the five were", () => {
  const mixed = waits([refused, closedWith(1006), told(1_000), refused, refused, refused])
  assert.deepEqual(mixed.map(({ isDegraded }) => isDegraded), [
    false,
    false,
    false,
    false,
    true,
    true,
  ])
})

Deno.test("failed() never lets REST be asked against the word of the venue", () => {
  const long = waits([refused, refused, refused, refused, refused, told(9_000), {
    _tag: "Forbidden",
  }, refused])
  assert.deepEqual(long.map(({ mayPoll }) => mayPoll), [
    false,
    false,
    false,
    false,
    true,
    false,
    false,
    true,
  ])
})

Deno.test("failed() comes back for a taken place gently, spans ninety seconds and burns no attempt", () => {
  const found = waits(Array.from({ length: 8 }, () => busy))
  assert.deepEqual(found.map(({ delayMs }) => delayMs), [
    5_000,
    10_000,
    20_000,
    20_000,
    20_000,
    20_000,
    20_000,
    20_000,
  ])
  assert.equal(found.at(-1)!.link.attempt, 0)
  // After half a minute it is an outage like any other.
  assert.deepEqual(found.map(({ mayPoll }) => mayPoll), [
    false,
    false,
    false,
    true,
    true,
    true,
    true,
    true,
  ])
})

Deno.test("heardData() begins the count anew, and only the first of a connection matters", () => {
  const [, , third] = waits([refused, refused, refused])
  const heard = heardData(third!.link)
  assert.equal(heard.attempt, 0)
  assert.equal(heardData(heard), heard)
  assert.equal(waits([refused], heard)[0]!.link.attempt, 1)
})

Deno.test("isFlapping() is three losses after data within a minute, and ends with the minute", () => {
  const lose = (link: Link, now: number) => failed(heardData(link), refused, now, 0, policy)[0]
  const twice = lose(lose(freshLink, 0), 20_000)
  assert.equal(isFlapping(twice, 20_000, policy), false)
  const thrice = lose(twice, 40_000)
  assert.equal(isFlapping(thrice, 40_000, policy), true)
  assert.equal(stableMsOf(thrice, 40_000, policy), policy.flappingStableMs)
  assert.equal(isFlapping(thrice, 60_001, policy), false)
  assert.equal(stableMsOf(thrice, 60_001, policy), policy.stableMs)
  // An attempt that fails is no flap, and neither is an end that was announced.
  const planned = failed(heardData(twice), { _tag: "Announced" }, 41_000, 0, policy)[0]
  assert.equal(isFlapping(planned, 41_000, policy), false)
  assert.equal(isFlapping(failed(twice, refused, 41_000, 0, policy)[0], 41_000, policy), false)
})

Deno.test("isMisbehaving() counts what the venue closes for a breach of its rules", () => {
  const close = (link: Link, now: number) => failed(link, closedWith(1008), now, 0, policy)[0]
  const twice = close(close(freshLink, 0), 1_000)
  assert.equal(isMisbehaving(twice, 1_000, policy), false)
  assert.equal(isMisbehaving(close(twice, 2_000), 2_000, policy), true)
  assert.equal(isMisbehaving(close(twice, 2_000), 601_500, policy), false)
})

Deno.test("failed() is never in a hurry but when it was announced, and remembers no more than it needs", () => {
  const anyFailure: fc.Arbitrary<LinkFailure> = fc.oneof(
    fc.constantFrom<LinkFailure>(
      refused,
      busy,
      { _tag: "Forbidden" },
      { _tag: "Announced" },
      closedWith(1008),
    ),
    fc.nat(100_000).map(told),
  )
  fc.assert(
    fc.property(
      fc.array(fc.tuple(anyFailure, fc.boolean(), fc.double({ min: 0, max: 0.999, noNaN: true }))),
      (steps) => {
        let link = freshLink
        let now = 0
        for (const [failure, hears, random] of steps) {
          if (hears) link = heardData(link)
          const [next, wait] = failed(link, failure, now, random, policy)
          assert.ok(Number.isSafeInteger(wait.delayMs))
          if (wait.rule !== "planned") assert.ok(wait.delayMs >= 50, `${wait.delayMs}`)
          if (failure._tag === "Throttled") assert.ok(wait.delayMs >= failure.retryAfterMs)
          if (!wait.isDegraded) assert.equal(wait.mayPoll, false)
          assert.ok(next.flaps.length <= 100 && next.breaches.length <= 100)
          link = next
          now += wait.delayMs
        }
      },
    ),
  )
})
