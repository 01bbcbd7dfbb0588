/**
 * The whole way: a real browser on the real runtime, which trades with the venue over real sockets.
 */
/// <reference lib="dom" />
import assert from "node:assert/strict"
import { axe, browser, type Page } from "../browser.ts"
import { intentsAt, stateOf } from "./api.ts"
import { holdingsAt } from "./books.ts"
import { eventually, Process, temporaryFolder } from "./process.ts"
import { addressesOf, binanceKeys, binanceUrls, nervousConfig, pairs } from "./venue.ts"

const pauseButton = "#pause-slot button"
/** Holds what it buys for a while, so that there is something to close. */
const params = { period: 10, deviations: 1 }

Deno.test({
  name: "the dashboard over the real runtime",
  ignore: !browser,
  // The browser is launched before and closed after this test.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    await using folder = await temporaryFolder()
    await using venue = new Process("venue", ["--port", "0", "--seed", "3"])
    const { binance, control } = await addressesOf(venue)
    const instruments = pairs.map((pair) => `${pair}.BINANCE`)
    const config = nervousConfig({ binance: binanceUrls(binance) }, instruments, params)
    Deno.writeTextFileSync(`${folder.path}/keel.json`, config)
    const args = ["--data", `${folder.path}/data`, "--config", `${folder.path}/keel.json`]
    const env = { KEEL_LOG: "warn", ...binanceKeys(binance) }
    const held = async () => (await holdingsAt(control)).get("binance")!
    const start = async (port: string) => {
      const keel = new Process("start", ["--port", port, ...args], env)
      const [, url = ""] = await keel.printed(/keel ready url=(\S+)/)
      return { keel, url }
    }
    let { keel, url } = await start("0")
    // Without a locale the bundled Chromium hands `Intl` a tag it rejects.
    // Without motion, because a colour half-way between two themes has no contrast to measure.
    const context = await browser!.newContext({ locale: "en-US", reducedMotion: "reduce" })
    const page = await context.newPage()
    const complaints = listen(page)
    try {
      await page.goto(url)
      await page.waitForSelector("html[data-link=live]")

      await t.step("prices move without a reload", async () => {
        await page.evaluate(() => Object.assign(globalThis, { isSamePage: true }))
        const price = () => page.textContent("#feeds-region")
        const before = await price()
        await page.waitForFunction(
          (before) => document.querySelector("#feeds-region")!.textContent !== before,
          before,
        )
        assert.ok(await page.evaluate(() => "isSamePage" in globalThis))
      })

      await t.step("orders are filled, and shown", async () => {
        await eventually(
          () => stateOf(url),
          ({ orders }) => orders.some(({ status }) => status === "filled"),
          60_000,
        )
        await page.waitForSelector("#orders-region >> text=filled")
      })

      await t.step("paused, nothing new is sent; resumed, trading goes on", async () => {
        await page.click(pauseButton)
        await page.click("#dialog-pause >> text=Pause all")
        await page.waitForSelector(`${pauseButton} >> text=Resume`)
        const paused = await eventually(
          () => stateOf(url),
          (state) => state.tradingState === "halted",
          5_000,
        )
        const newest = async () => intentsAt("binance", await stateOf(url))
        const before = intentsAt("binance", paused)
        await new Promise((resolve) => setTimeout(resolve, 8_000))
        assert.equal(await newest(), before)
        await page.click(pauseButton)
        await page.click("#dialog-resume button[type=submit]")
        await page.waitForSelector(`${pauseButton} >> text=Pause all`)
        await eventually(newest, (count) => count > before, 60_000)
      })

      await t.step("one position is closed, and the venue confirms it", async () => {
        // Hands off first: a strategy might close or reopen it while we look.
        const { positions } = await eventually(
          () => stateOf(url),
          (state) => state.positions.length > 0,
          60_000,
        )
        const instrument = positions[0]!.instrument
        const row = `[id='position-${instrument}']`
        await page.click(`${row} >> text=Hold`)
        await eventually(
          () => stateOf(url),
          (state) =>
            state.positions.every((each) =>
              each.instrument !== instrument || each.control === "hold"
            ) && state.orders.every((each) =>
              each.instrument !== instrument || each.status === "filled"
            ),
          15_000,
        )
        if (await page.locator(row).count() > 0) {
          await page.click(`${row} button.close`)
          await page.click("#dialog-close >> text=Close at market")
          await page.waitForSelector("#close-steps >> text=confirmed by the venue", {
            timeout: 30_000,
          })
          await page.keyboard.press("Escape")
        }
        await page.waitForSelector(row, { state: "detached" })
        const base = instrument.split("/")[0]!
        const left = (await held()).get(base) ?? 0
        assert.ok(left < 0.01, `the venue still holds ${left} ${base}`)
      })

      await t.step("flattened, the venue holds nothing of ours", async () => {
        await eventually(() => stateOf(url), (state) => state.positions.length > 0, 60_000)
        await page.click(".commands [data-open=dialog-flatten]")
        await page.fill("#flatten-confirm", "FLATTEN")
        await page.click("#dialog-flatten >> text=Flatten now")
        await page.waitForSelector("#flatten-steps [data-final] >> text=confirmed by the venue", {
          timeout: 60_000,
        })
        await page.keyboard.press("Escape")
        const state = await stateOf(url)
        assert.deepEqual(state.positions, [])
        assert.equal(state.tradingState, "halted")
        const prices = new Map(
          state.feeds.flatMap(({ instruments }) =>
            instruments.map(({ instrument, price }) => [instrument.split("/")[0]!, Number(price)])
          ),
        )
        // What is left is dust: less than the venue would take as an order.
        for (const [asset, left] of await held()) {
          if (asset === "USDT") continue
          const worth = left * (prices.get(asset) ?? 0)
          assert.ok(worth < 5, `${left} ${asset} are worth ${worth}`)
        }
      })

      await t.step("nothing broke the content policy, nothing was logged as an error", () => {
        assert.deepEqual(complaints, [])
      })

      await t.step("axe finds nothing serious in either theme", async () => {
        await page.evaluate(axe)
        for (const theme of ["dark", "light"]) {
          await page.evaluate((theme) => document.documentElement.dataset.theme = theme, theme)
          assert.deepEqual(await page.evaluate(seriousFindings), [], theme)
        }
      })

      await t.step(
        "a restart of the server: lost is said, and the page goes on by itself",
        async () => {
          const { port } = new URL(url)
          const { seq } = await stateOf(url)
          keel.signal("SIGKILL")
          await keel.status()
          await page.waitForSelector("html[data-link=lost]", { timeout: 15_000 })
          await page.waitForSelector("#lost", { state: "visible" })
          const again = await start(port)
          keel = again.keel
          url = again.url
          await page.waitForSelector("html[data-link=live]", { timeout: 15_000 })
          assert.ok(await page.evaluate(() => "isSamePage" in globalThis))
          await page.waitForSelector(`${pauseButton} >> text=Resume`)
          const events = await page.textContent("#log")
          assert.match(events ?? "", /started in paper mode/)
          assert.ok((await stateOf(url)).seq > seq)
        },
      )
    } finally {
      await context.close()
      await keel[Symbol.asyncDispose]()
      await browser!.close()
    }
  },
})

function listen(page: Page): ReadonlyArray<string> {
  const complaints: Array<string> = []
  page.on("pageerror", (error) => complaints.push(String(error)))
  page.on("console", (line) => line.type() === "error" && complaints.push(line.text()))
  page.addInitScript(() =>
    document.addEventListener(
      "securitypolicyviolation",
      (event) => console.error(`CSP ${event.violatedDirective} ${event.blockedURI}`),
    )
  )
  return complaints
}

/** Runs in the page. */
async function seriousFindings(): Promise<Array<string>> {
  interface Finding {
    readonly id: string
    readonly impact: string
    readonly nodes: ReadonlyArray<{ readonly html: string }>
  }
  const checker = (globalThis as unknown as {
    readonly axe: {
      run(root: Document, options: unknown): Promise<{ violations: ReadonlyArray<Finding> }>
    }
  }).axe
  const { violations } = await checker.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"],
  })
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 120)}`)
}
