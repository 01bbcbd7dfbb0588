/**
 * The differential test: random scenarios, played on our runtime and on OTP's
 * supervisor, must bring the same events in the same order.
 *
 * Needs `erl` and `erlc` (Debian package erlang-base). Without them it is skipped
 * with one line; under CI it then fails.
 */
import assert from "node:assert/strict"
import { mulberry32 } from "../../../actors/runtime/virtual_time.ts"
import { type Child, type Flags, type Outcome, play, type Scenario } from "./scenario.ts"
import { virtualWorld } from "./world.ts"

const SCENARIOS = 600
/** OTP's are told to use an hour: the window is not what is compared here (case 10 is). */
const PERIOD_MS = 3_600_000

async function output(command: string, args: Array<string>): Promise<string | undefined> {
  try {
    const { success, stdout, stderr } = await new Deno.Command(command, {
      args,
      signal: AbortSignal.timeout(240_000),
    }).output()
    if (success) return new TextDecoder().decode(stdout)
    throw new Error(`${command}: ${new TextDecoder().decode(stderr)}`)
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined
    throw error
  }
}

const release = await output("erl", [
  "-noshell",
  "-eval",
  "io:put_chars(erlang:system_info(otp_release)), halt().",
])
if (release === undefined && Deno.env.get("CI") === undefined) {
  console.log("otp_test.ts: skipped, no `erl` here (apt-get install -y erlang-base)")
}

Deno.test({
  name: `${SCENARIOS} random scenarios bring the same events as on OTP ${release ?? "(not found)"}`,
  ignore: release === undefined && Deno.env.get("CI") === undefined,
  fn: async () => {
    assert.ok(
      release !== undefined,
      "under CI `erl` must be installed: apt-get install -y erlang-base",
    )
    const scenarios = Array.from({ length: SCENARIOS }, (_, number) => randomScenario(number))
    const recorded = await playOnOtp(scenarios)
    assert.equal(recorded.size, SCENARIOS)
    let events = 0
    for (const [number, scenario] of scenarios.entries()) {
      const theirs = recorded.get(number)!
      events += (theirs.boot.length) + (theirs.trace?.length ?? 0) + (theirs.close?.length ?? 0)
      for (const seed of [undefined, number]) {
        const ours = await play(scenario, virtualWorld(seed), PERIOD_MS)
        assert.deepEqual(ours, theirs, `scenario ${number}: ${JSON.stringify(scenario)}`)
      }
    }
    assert.ok(events > 8 * SCENARIOS, `${events} events compared`)
  },
})

async function playOnOtp(scenarios: ReadonlyArray<Scenario>): Promise<Map<number, Outcome>> {
  const folder = await Deno.makeTempDir()
  try {
    const terms = scenarios.map((scenario, number) => `${term(scenario, number)}.\n`).join("")
    await Deno.writeTextFile(`${folder}/scenarios`, terms)
    await output("erlc", [
      ...["-Werror", "-o", folder],
      new URL("otp_player.erl", import.meta.url).pathname,
    ])
    const lines = await output("erl", [
      ...["+S", "1:1", "-noshell", "-pa", folder],
      ...["-run", "otp_player", "main", `${folder}/scenarios`],
    ])
    const outcomes = new Map<number, Outcome>()
    for (const line of lines!.trim().split("\n")) {
      const { number, ...outcome } = JSON.parse(line) as Outcome & { number: number }
      outcomes.set(number, outcome)
    }
    return outcomes
  } finally {
    await Deno.remove(folder, { recursive: true })
  }
}

// ---- a scenario as an Erlang term ------------------------------------------------

function term(scenario: Scenario, number: number): string {
  const actions = scenario.actions.map((action) => {
    const [verb, subject = "", argument] = action.split(" ")
    if (verb === "crash_together") return `{crash_together,[${subject.split("+").join(",")}]}`
    return `{${[verb, subject, argument].filter((part) => part !== undefined).join(",")}}`
  })
  return `{${number},${flags(scenario.supervisor)},${children(scenario.children)},[${actions}]}`
}

function flags({ strategy, intensity, autoShutdown }: Flags): string {
  return map({ strategy, intensity, autoShutdown })
}

function children(list: ReadonlyArray<Child>): string {
  return `[${list.map(child).join(",")}]`
}

function child({ supervisor, children: below, startFails, ...rest }: Child): string {
  return map({
    ...rest,
    startFails: startFails && `[${startFails}]`,
    supervisor: supervisor && flags(supervisor),
    children: below && children(below),
  })
}

function map(fields: Record<string, string | number | boolean | undefined>): string {
  const present = Object.entries(fields).filter(([, value]) => value !== undefined)
  return `#{${present.map(([key, value]) => `${key}=>${value}`).join(",")}}`
}

// ---- random scenarios ------------------------------------------------------------

function randomScenario(seed: number): Scenario {
  const random = mulberry32(seed)
  const below = (count: number) => Math.floor(random() * count)
  const of = <T>(...values: ReadonlyArray<T>) => values[below(values.length)]!
  const chance = (share: number) => random() < share

  const supervisor = (): Flags => ({
    strategy: of("one_for_one", "one_for_all", "rest_for_one"),
    intensity: below(4),
    ...(chance(0.3) &&
      { autoShutdown: of("any_significant" as const, "all_significant" as const) }),
  })
  const leaf = (id: string, parent: Flags): Child => {
    const restart = of("permanent", "permanent", "transient", "temporary")
    return {
      id,
      restart,
      // OTP refuses any other use of it.
      ...(parent.autoShutdown !== undefined && restart !== "permanent" && chance(0.5) && {
        significant: true,
      }),
      ...(chance(0.2) && { startFails: chance(0.1) ? [1] : of([2], [3], [2, 3], [2, 3, 4, 5, 6]) }),
      ...(chance(0.1) && { shutdown: "brutal_kill" as const }),
      ...(chance(0.1) && of({ stopTakesMs: 20 }, { stopTakesMs: 300, shutdown: 20 })),
    }
  }
  const root = supervisor()
  const children: Array<Child> = []
  const actors: Array<string> = []
  for (let i = 0, count = 1 + below(4); i < count; i++) {
    const id = "abcd"[i]!
    if (chance(0.25)) {
      const inner = supervisor()
      const names = [1, 2, 3].slice(0, 1 + below(3)).map((number) => `${id}${number}`)
      actors.push(...names)
      children.push({
        id,
        restart: of("permanent", "permanent", "transient", "temporary"),
        supervisor: inner,
        children: names.map((name) => leaf(name, inner)),
      })
    } else {
      actors.push(id)
      children.push(leaf(id, root))
    }
  }
  const leaves = children.filter(({ supervisor }) => supervisor === undefined).map(({ id }) => id)
  const anyChild = () => children[below(children.length)]!.id
  const action = (): string => {
    const kind = random()
    if (kind < 0.45) return `crash ${of(...actors)}`
    if (kind < 0.65) return `exit ${of(...actors)} ${of("normal", "shutdown", "{shutdown,x}")}`
    if (kind < 0.72 && leaves.length > 1) {
      const together = leaves.filter(() => chance(0.6))
      if (together.length > 1) return `crash_together ${together.join("+")}`
    }
    if (kind < 0.82) return `terminate_child ${anyChild()}`
    if (kind < 0.91) return `restart_child ${anyChild()}`
    if (kind < 0.96) return `delete_child ${anyChild()}`
    return `start_child ${anyChild()}`
  }
  const actions = Array.from({ length: 1 + below(7) }, action)
  return { supervisor: root, children, actions }
}
