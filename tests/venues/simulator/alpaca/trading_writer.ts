/** Trades on the books of a file until it is killed, saying all that it was answered and told. */
import { writeSync } from "node:fs"
import { Effect } from "effect"
import { openAlpacaLedger } from "../../../../storage/alpaca_ledger_kv.ts"
import { startTrading } from "../../../../venues/simulator/alpaca/trading.ts"
import { TestMarket } from "./trading_market.ts"

const [path = "", run = ""] = Deno.args
const say = (...words: ReadonlyArray<unknown>) => void writeSync(1, `${words.join(" ")}\n`)

const trade = Effect.gen(function* () {
  const market = new TestMarket()
  const trading = yield* startTrading({
    market,
    ledger: yield* openAlpacaLedger(path),
    cash: "100000",
    seed: 3,
  })
  trading.onUpdate(({ data }) => {
    say("event", data.event_id)
    if (data.event === "fill" || data.event === "partial_fill") say("fill", data.execution_id)
  })
  for (let i = 0; i < 10_000; i++) {
    market.time += 1
    market.ladder("AAPL", [["99.90", "100"]], [["100.00", "100"]])
    const answer = yield* trading.handle({
      method: "POST",
      path: "/v2/orders",
      query: new URLSearchParams(),
      body: JSON.stringify({
        symbol: "AAPL",
        side: "buy",
        type: i % 3 === 0 ? "limit" : "market",
        ...(i % 3 === 0 && { limit_price: "50" }),
        time_in_force: "day",
        qty: "1",
        client_order_id: `${run}-${i}`,
      }),
    })
    if (answer?.status === 200) say("order", JSON.parse(answer.body).id, `${run}-${i}`)
  }
})

await Effect.runPromise(Effect.scoped(trade))
