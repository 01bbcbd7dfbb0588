/**
 * One engine, one program, one process:
 *   deno run -A bench/actors/measure.ts ENGINE PROGRAM [REPETITIONS] [SCALE]
 * One run more than asked for comes first, to warm up. Prints one line of JSON.
 */
import { runEffectQueue } from "./effect_queue.ts"
import { completion, engines } from "./engines.ts"
import { programs } from "./programs.ts"

const [engine = "", name = "", repetitions = "5", scale = "1"] = Deno.args
const make = programs[name]
if (make === undefined) throw new Error(`no program ${name}: ${Object.keys(programs).join(", ")}`)
const load = engines[engine]
if (load === undefined && engine !== "effect_queue") throw new Error(`no engine ${engine}`)
const run = await load?.()

const rates: Array<number> = []
for (let i = 0; i <= Number(repetitions); i++) {
  const { finished, done } = completion()
  const startedAt = performance.now()
  // The actors are built within the measured time.
  const program = make(Number(scale), done)
  await (run?.(program, finished) ?? runEffectQueue(name, Number(scale)))
  const rate = program.messages / (performance.now() - startedAt) * 1_000
  if (i > 0) rates.push(Math.round(rate))
}
const inOrder = [...rates]
rates.sort((a, b) => a - b)
console.log(JSON.stringify({ engine, name, median: rates[rates.length >> 1], rates: inOrder }))
// nact and comedy would keep the process alive.
Deno.exit(0)
