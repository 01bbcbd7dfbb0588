/**
 * The promises of the dashboard, kept in a real browser: figures move, typing survives, the policy
 * holds, the page is accessible, and it says so when it knows nothing.
 */
/// <reference lib="dom" />
import assert from "node:assert/strict"
import { axe, browser, type BrowserContextOptions, type Page } from "./browser.ts"
import { type Demo, startDemo } from "./demo_server.ts"
import { eventually } from "./e2e/process.ts"

interface Visit {
  readonly page: Page
  /** Errors and violations of the content policy, as they were logged. */
  readonly complaints: Array<string>
  /** Server and page are in this state. */
  readonly link: (state: "live" | "waiting" | "lost") => Promise<unknown>
  readonly figuresMove: () => Promise<void>
}

/** Opens the dashboard in a context of its own, which is closed afterwards. */
async function visit(
  { url }: Demo,
  body: (visit: Visit) => Promise<void>,
  options: BrowserContextOptions = {},
): Promise<void> {
  // Without a locale the bundled Chromium hands `Intl` a tag it rejects.
  // Without motion: a colour half-way between two themes has no contrast to measure.
  const context = await browser!.newContext({
    locale: "en-US",
    reducedMotion: "reduce",
    ...options,
  })
  const page = await context.newPage()
  const complaints: Array<string> = []
  page.on("pageerror", (error) => complaints.push(String(error)))
  page.on("console", (line) => line.type() === "error" && complaints.push(line.text()))
  await page.addInitScript(() =>
    document.addEventListener(
      "securitypolicyviolation",
      (event) => console.error(`CSP ${event.violatedDirective} ${event.blockedURI}`),
    )
  )
  const link = (state: string) => page.waitForSelector(`html[data-link=${state}]`)
  const figuresMove = async () => {
    const before = await page.textContent("#figure-equity .value")
    await page.waitForFunction(
      (before) => document.querySelector("#figure-equity .value")!.textContent !== before,
      before,
    )
  }
  try {
    await page.goto(url)
    if (options.javaScriptEnabled !== false) await link("live")
    await body({ page, complaints, link, figuresMove })
  } finally {
    await context.close()
  }
}

const position = (symbol: string) => `[id='position-${symbol}/USDT.BINANCE']`
const flattenButton = ".commands [data-open=dialog-flatten]"
const pauseButton = "#pause-slot button"

function testDashboard(name: string, body: (demo: Demo) => Promise<void>) {
  Deno.test({
    name,
    ignore: !browser,
    // The browser is launched before and closed after the tests of this file.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const demo = await startDemo()
      try {
        await body(demo)
      } finally {
        await demo.stop()
      }
      assert.deepEqual(demo.runtime.defects, [])
    },
  })
}

testDashboard(
  "figures move without a reload, and nothing is logged as an error",
  (demo) =>
    visit(demo, async ({ page, complaints, figuresMove }) => {
      await page.evaluate(() => Object.assign(globalThis, { isSamePage: true }))
      for (let i = 0; i < 3; i++) await figuresMove()
      await page.waitForFunction(() => document.title.includes("$"))
      assert.ok(await page.evaluate(() => "isSamePage" in globalThis))
      assert.deepEqual(complaints, [])
    }),
)

testDashboard("an event appears at once, and only once", (demo) =>
  visit(demo, async ({ page }) => {
    demo.runtime.commit("Tested", "plain", "test", "a unique line")
    await page.waitForSelector("#log >> text=a unique line")
    demo.runtime.commit("Tested", "plain", "test", "a later line")
    await page.waitForSelector("#log >> text=a later line")
    assert.equal(await page.locator("#log >> text=a unique line").count(), 1)
    assert.match(await page.textContent("#log li") ?? "", /a later line/)
  }))

testDashboard(
  "typing, focus and open dialogs survive streamed updates",
  (demo) =>
    visit(demo, async ({ page, figuresMove }) => {
      await page.locator("#log-filter").pressSequentially("executor", { delay: 120 })
      assert.equal(await page.inputValue("#log-filter"), "executor")
      const shown = await page.locator("#log li:not([data-off])").allTextContents()
      assert.ok(shown.length > 0 && shown.every((line) => line.includes("executor")))
      await page.fill("#log-filter", "")
      await page.click("[data-open=dialog-swap]")
      await page.fill("[data-strategy=mean_reversion] [data-param=period]", "33")
      await page.locator("#dialog-swap h2").click()
      for (let i = 0; i < 3; i++) await figuresMove()
      assert.equal(
        await page.inputValue("[data-strategy=mean_reversion] [data-param=period]"),
        "33",
      )
      await page.keyboard.press("Escape")
      const hold = page.locator(`${position("BTC")} >> text=Hold`)
      await hold.focus()
      for (let i = 0; i < 3; i++) await figuresMove()
      assert.ok(await hold.evaluate((button) => button === document.activeElement))
      await page.keyboard.press("Enter")
      await page.waitForSelector(`${position("BTC")} button[aria-pressed=true] >> text=Hold`)
    }),
)

testDashboard("ages go on counting between updates", (demo) =>
  visit(demo, async ({ page }) => {
    const age = () => page.textContent(`${position("SOL")} time`)
    assert.match(await age() ?? "", /^\d\.\d s$/)
    await page.click("#theme")
    await demo.stop()
    const before = Number.parseFloat(await age() ?? "")
    await page.waitForFunction(
      ([selector, before]) =>
        Number.parseFloat(document.querySelector(String(selector))!.textContent!) >
          Number(before) + 0.9,
      [`${position("SOL")} time`, before] as const,
    )
  }))

testDashboard(
  "axe finds nothing serious, dark or light, with dialogs open or closed",
  (demo) =>
    visit(demo, async ({ page }) => {
      demo.runtime.loseFeed()
      await page.waitForSelector("#strip >> text=binance feed reconnecting")
      await page.evaluate(axe) // runs in spite of the policy
      for (const theme of ["dark", "light"]) {
        await page.evaluate((theme) => document.documentElement.dataset.theme = theme, theme)
        assert.deepEqual(await page.evaluate(seriousFindings), [], theme)
        for (const dialog of ["dialog-flatten", "dialog-swap", "dialog-keys"]) {
          await page.locator(`[data-open=${dialog}]:visible`).first().click()
          assert.deepEqual(await page.evaluate(seriousFindings), [], `${dialog} ${theme}`)
          await page.keyboard.press("Escape")
        }
      }
    }),
)

testDashboard(
  "axe finds nothing serious where real money is, nor while the page is lost",
  async () => {
    const live = await startDemo(0, { mode: "live" })
    await visit(live, async ({ page, link }) => {
      await page.evaluate(axe)
      for (const theme of ["dark", "light"]) {
        await page.evaluate((theme) => document.documentElement.dataset.theme = theme, theme)
        assert.deepEqual(await page.evaluate(seriousFindings), [], theme)
      }
      await live.stop()
      await link("lost")
      assert.deepEqual(await page.evaluate(alarmFindings), [])
    })
  },
)

testDashboard(
  "pause says what goes on running, and becomes resume",
  (demo) =>
    visit(demo, async ({ page }) => {
      assert.match(await page.textContent(pauseButton) ?? "", /Pause all/)
      await page.click(pauseButton)
      assert.match(
        await page.textContent("#dialog-pause") ?? "",
        /Your own closes, cancels and flatten/,
      )
      await page.click("#dialog-pause >> text=Pause all")
      await page.waitForSelector("#toasts >> text=Journaled as event")
      await page.waitForSelector("#strip >> text=Trading is halted")
      await page.waitForSelector(`${pauseButton} >> text=Resume`)
      await page.click(pauseButton)
      await page.click("#dialog-resume button[type=submit]")
      await page.waitForSelector(`${pauseButton} >> text=Pause all`)
      await page.waitForSelector("#strip >> text=Trading is halted", { state: "detached" })
      // The same press again is another command: its form has another id.
      await page.click(pauseButton)
      await page.click("#dialog-pause >> text=Pause all")
      await page.waitForSelector(`${pauseButton} >> text=Resume`)
      assert.deepEqual(demo.runtime.taken.map(({ type }) => type), ["pause", "resume", "pause"])
      assert.equal(new Set(demo.runtime.taken.map(({ commandId }) => commandId)).size, 3)
    }),
)

testDashboard(
  "closing names the size, and ends with what the venue confirmed",
  (demo) =>
    visit(demo, async ({ page }) => {
      await page.click(`${position("ETH")} button.close`)
      assert.equal(await page.textContent("#close-what"), "short 6.5 ETH/USDT")
      await page.click("#dialog-close >> text=Close at market")
      await page.waitForSelector("#close-steps li.confirmed >> text=closed at the venue")
      await page.waitForSelector(position("ETH"), { state: "detached" })
      assert.equal(demo.runtime.positions, 2)
    }),
)

testDashboard(
  "a refused command says so, and a missing answer is called unknown",
  (demo) =>
    visit(demo, async ({ page }) => {
      await page.click(`${position("BTC")} button.close`)
      await page.evaluate(() => {
        const field = document.querySelector("#close-instrument") as HTMLInputElement
        field.value = "XRP/USDT.BINANCE"
      })
      await page.click("#dialog-close >> text=Close at market")
      await page.waitForSelector("#close-steps >> text=Refused. There is no open position")
      await page.keyboard.press("Escape")
      await page.route("**/controls/pause", (route) => route.abort())
      await page.click(pauseButton)
      await page.click("#dialog-pause >> text=Pause all")
      await page.waitForSelector("text=Unknown: no answer")
      assert.equal(demo.runtime.taken.length, 0)
    }),
)

testDashboard(
  "flatten needs the typed word, and reports each step once",
  (demo) =>
    visit(demo, async ({ page }) => {
      await page.click(flattenButton)
      await page.click("#dialog-flatten >> text=Flatten now")
      assert.equal(demo.runtime.taken.length, 0)
      await page.fill("#flatten-confirm", "FLATTEN")
      await page.click("#dialog-flatten >> text=Flatten now")
      await page.waitForSelector("#flatten-steps [data-final] >> text=Flat")
      await page.waitForSelector("#positions-region >> text=No open position")
      assert.equal(demo.runtime.positions, 0)
      assert.equal(await page.locator("#flatten-steps >> text=is closed at the venue").count(), 3)
      assert.equal(demo.runtime.taken.length, 1)
    }),
)

testDashboard(
  "flatten is posted once, though the tab is hidden in the middle",
  (demo) =>
    visit(demo, async ({ page }) => {
      const posts: Array<string> = []
      page.on("request", (request) => request.method() === "POST" && posts.push(request.url()))
      await page.click(flattenButton)
      await page.fill("#flatten-confirm", "FLATTEN")
      await page.click("#dialog-flatten >> text=Flatten now")
      await page.waitForSelector("#flatten-steps li")
      await setHidden(page, true)
      await setHidden(page, false)
      await page.waitForSelector("#flatten-steps [data-final]")
      assert.equal(posts.length, 1)
    }),
)

testDashboard(
  "an actor can be opened, crashed on purpose, and seen to come back",
  (demo) =>
    visit(demo, async ({ page }) => {
      const actor = "root/strategies/rsi_momentum:BTC"
      await page.click(`[data-actor='${actor}']`)
      await page.waitForSelector("#actor-panel >> text=It has not crashed")
      await page.click("#dialog-actor >> text=Crash on purpose")
      await page.waitForSelector("#actor-panel >> text=crashed on purpose")
      await page.waitForSelector("#restarts >> text=crashed on purpose")
      await page.waitForSelector(`[id='actor-${actor}'].just`)
      assert.deepEqual(demo.runtime.taken.map(({ type, scope }) => [type, scope.id]), [
        ["crash_actor", actor],
      ])
    }),
)

testDashboard(
  "a strategy is swapped with its own parameters",
  (demo) =>
    visit(demo, async ({ page }) => {
      await page.click("[id='swap-rsi_momentum:SOL/USDT.BINANCE']")
      assert.match(await page.textContent("#swap-what") ?? "", /rsi momentum on SOL\/USDT/)
      await page.fill("[data-strategy=mean_reversion] [data-param=period]", "40")
      await page.click("#dialog-swap button[type=submit]")
      await page.waitForSelector("#strategies-region >> text=warming up")
      assert.equal(demo.runtime.taken[0]?.strategy, "mean_reversion")
      assert.deepEqual(demo.runtime.taken[0]?.params, { period: 40, deviations: 2 })
    }),
)

testDashboard(
  "the chart follows its instrument, and repaints with the theme",
  (demo) =>
    visit(demo, async ({ page, complaints }) => {
      const label = (text: string) => page.waitForSelector(`#chart-canvas[aria-label^='${text}']`)
      await label("BTC/USDT.BINANCE at 9")
      await page.click("button[data-instrument='ETH/USDT.BINANCE']")
      await label("ETH/USDT.BINANCE at 3")
      const before = await page.evaluate(picture)
      await page.click("#theme")
      await eventually(() => page.evaluate(picture), (shown) => shown !== before, 10_000, 20)
      assert.deepEqual(complaints, [])
    }),
)

testDashboard(
  "a venue that is let in late gets its buttons of the chart, and the chosen one stays chosen",
  (demo) => {
    demo.runtime.waiting.add("alpaca")
    return visit(demo, async ({ page, complaints }) => {
      const chosen = "button[aria-pressed=true]"
      await page.click("button[data-instrument='ETH/USDT.BINANCE']")
      await page.waitForSelector(`#chart-instruments ${chosen} >> text=ETH`)
      assert.equal(await page.locator("button[data-instrument='AAPL.ALPACA']").count(), 0)
      demo.runtime.waiting.delete("alpaca")
      await page.waitForSelector("button[data-instrument='AAPL.ALPACA']")
      await page.waitForSelector(`#chart-instruments ${chosen} >> text=ETH`)
      assert.equal(await page.locator(`#chart-instruments ${chosen}`).count(), 1)
      await page.click("button[data-instrument='AAPL.ALPACA']")
      await page.waitForSelector("#chart-canvas[aria-label^='AAPL.ALPACA at 2']")
      assert.deepEqual(complaints, [])
    })
  },
)

testDashboard(
  "a frozen view stands still, and is whole again afterwards",
  (demo) =>
    visit(demo, async ({ page, link, figuresMove }) => {
      await page.keyboard.press("f")
      await page.waitForSelector("#frozen:not([hidden])")
      const before = await page.textContent("#figure-equity .value")
      demo.runtime.commit("Tested", "plain", "test", "while it was frozen")
      await page.waitForTimeout(1_200)
      assert.equal(await page.textContent("#figure-equity .value"), before)
      await link("live")
      await page.click("#frozen button")
      await page.waitForSelector("#log >> text=while it was frozen")
      await figuresMove()
    }),
)

testDashboard(
  "shortcuts act, not while typing, and can be switched off",
  (demo) =>
    visit(demo, async ({ page }) => {
      await page.keyboard.press("/")
      await page.keyboard.type("pF?")
      assert.equal(await page.inputValue("#log-filter"), "pF?")
      assert.equal(await page.locator("dialog[open]").count(), 0)
      await page.locator("#log-filter").blur()
      await page.keyboard.press("Shift+F")
      await page.waitForSelector("#dialog-flatten[open]")
      await page.keyboard.press("Escape")
      await page.waitForSelector("#dialog-flatten", { state: "hidden" })
      await page.keyboard.press("?")
      await page.click("#keys-on")
      await page.keyboard.press("Escape")
      await page.waitForSelector("#dialog-keys", { state: "hidden" })
      await page.keyboard.press("p")
      assert.equal(await page.locator("dialog[open]").count(), 0)
    }),
)

testDashboard(
  "a lost server is announced and all turns grey; the page heals when it returns",
  async (demo) => {
    let second: Demo | undefined
    await visit(demo, async ({ page, link, figuresMove }) => {
      const colour = () =>
        page.evaluate(() => getComputedStyle(document.querySelector("#figure-pnl .value")!).color)
      const before = await colour()
      await demo.stop()
      await link("lost")
      await page.waitForSelector("#lost", { state: "visible" })
      assert.notEqual(await colour(), before)
      assert.deepEqual(await page.evaluate(statusWords), [
        "trading unknown",
        "unknown",
        "unknown",
      ])
      second = await startDemo(demo.port)
      second.runtime.commit("Tested", "plain", "test", "of the second run")
      await link("live")
      await page.waitForSelector("#log >> text=of the second run")
      await figuresMove()
      assert.equal(await page.isVisible("#lost"), false)
      // Commands of the old page are still new to the new server.
      await page.click(pauseButton)
      await page.click("#dialog-pause >> text=Pause all")
      await page.waitForSelector(`${pauseButton} >> text=Resume`)
    })
    await second?.stop()
  },
)

testDashboard(
  "a server that says nothing more is noticed, though its connection stands",
  async () => {
    const frozen = await startFrozenProxy()
    const demo = await startDemo()
    await visit({ ...demo, url: frozen.through(demo.port) }, async ({ link, figuresMove }) => {
      frozen.isFrozen = true
      await link("waiting")
      await link("lost")
      frozen.isFrozen = false
      await link("live")
      await figuresMove()
    })
    await frozen.stop()
    await demo.stop()
  },
)

testDashboard(
  "a first connection that fails is tried again",
  (demo) =>
    visit(demo, async ({ page, link }) => {
      let refusals = 0
      await page.route("**/events?*", async (route) => {
        refusals += 1
        if (refusals === 1) await route.abort()
        else if (refusals === 2) await route.fulfill({ status: 503, body: "No more viewers" })
        else await route.continue()
      })
      await page.reload()
      await link("live")
      assert.equal(refusals, 3)
    }),
)

testDashboard(
  "a hidden tab catches up when it is shown",
  (demo) =>
    visit(demo, async ({ page, link }) => {
      await setHidden(page, true)
      await page.waitForTimeout(300)
      demo.runtime.commit("Tested", "plain", "test", "while it was hidden")
      await page.waitForTimeout(300)
      assert.equal(await page.locator("#log >> text=while it was hidden").count(), 0)
      await setHidden(page, false)
      await page.waitForSelector("#log >> text=while it was hidden")
      await link("live")
      assert.equal(await page.isVisible("#lost"), false)
    }),
)

testDashboard("on a phone nothing scrolls sideways, and the commands are at hand", async (demo) => {
  const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }
  await visit(demo, async ({ page }) => {
    demo.runtime.loseFeed()
    await page.waitForSelector("#strip >> text=binance feed reconnecting")
    const width = await page.evaluate(() => document.documentElement.scrollWidth)
    assert.equal(width, 390)
    assert.deepEqual(await page.evaluate(cutOff), [])
    await page.evaluate(axe)
    assert.deepEqual(await page.evaluate(seriousFindings), [])
    await page.tap("[data-fold=tree]")
    assert.equal(await page.isVisible("#tree-region"), false)
    await page.tap(".bar [data-open=dialog-flatten]")
    await page.waitForSelector("#dialog-flatten[open]")
  }, phone)
})

testDashboard(
  "without script the page shows everything, and flatten works",
  (demo) =>
    visit(demo, async ({ page }) => {
      assert.match(await page.textContent(position("BTC")) ?? "", /BTC\/USDT/)
      await page.click(flattenButton)
      await page.fill("input[name=confirm]", "FLATTEN")
      await page.click("text=Flatten now")
      await page.waitForSelector("text=Flat: the venue reports no position")
      assert.equal(demo.runtime.positions, 0)
      await page.click("text=Back to the overview")
      await page.waitForSelector("text=No open position")
    }, { javaScriptEnabled: false }),
)

testDashboard("a first run says what it waits for", async () => {
  const empty = await startDemo(0, { isEmpty: true })
  await visit(empty, async ({ page, complaints }) => {
    for (const text of ["Waiting for the first price", "No open position", "No event yet"]) {
      await page.waitForSelector(`text=${text}`)
    }
    assert.deepEqual(complaints, [])
  })
  await empty.stop()
})

testDashboard("no link of the page is dead", (demo) =>
  visit(demo, async ({ page }) => {
    const links = await page.evaluate(() =>
      [...document.querySelectorAll("a")].map((a) => a.getAttribute("href") ?? "")
    )
    for (const href of new Set(links)) {
      if (href.startsWith("#")) {
        assert.ok(await page.locator(`[id='${href.slice(1)}']`).count() > 0, href)
      } else if (href.startsWith("/")) {
        const response = await fetch(demo.url + href)
        await response.body?.cancel()
        assert.equal(response.status, 200, href)
      }
    }
  }))

Deno.test({
  name: "the browser closes",
  ignore: !browser,
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () => browser!.close(),
})

/** Playwright cannot hide a tab: the page is told that it is, as by the browser. */
async function setHidden(page: Page, isHidden: boolean): Promise<void> {
  await page.evaluate((isHidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => isHidden })
    document.dispatchEvent(new Event("visibilitychange"))
  }, isHidden)
}

/** Passes bytes on until it is told to hold them back, as a machine that hangs does. */
async function startFrozenProxy() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 })
  const sockets = new Set<Deno.TcpConn>()
  const proxy = {
    isFrozen: false,
    target: 0,
    through(port: number) {
      proxy.target = port
      return `http://127.0.0.1:${listener.addr.port}`
    },
    stop() {
      listener.close()
      for (const socket of sockets) close(socket)
      return accepting
    },
  }
  const pump = async (from: Deno.TcpConn, to: Deno.TcpConn) => {
    const buffer = new Uint8Array(65_536)
    try {
      for (let size = await from.read(buffer); size !== null; size = await from.read(buffer)) {
        while (proxy.isFrozen) await new Promise((resolve) => setTimeout(resolve, 50))
        let sent = 0
        while (sent < size) sent += await to.write(buffer.subarray(sent, size))
      }
    } catch {
      // One side has gone; so goes the other.
    }
    close(from)
    close(to)
  }
  const close = (socket: Deno.TcpConn) => {
    if (sockets.delete(socket)) socket.close()
  }
  const accepting = (async () => {
    for await (const client of listener) {
      const server = await Deno.connect({ hostname: "127.0.0.1", port: proxy.target })
      sockets.add(client).add(server)
      void pump(client, server)
      void pump(server, client)
    }
  })()
  await Promise.resolve()
  return proxy
}

/** Runs in the page. */
async function seriousFindings(): Promise<Array<string>> {
  // deno-lint-ignore no-explicit-any
  const { violations } = await (globalThis as any).axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"],
  })
  return violations
    .filter(({ impact }: { impact: string }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }: { id: string; nodes: Array<{ html: string; target: string }> }) =>
      nodes.map(({ html, target }) => `${id}: ${target} ${html.slice(0, 100)}`)
    )
}

/** Runs in the page. Figures are dimmed while lost; what says so must not be. */
async function alarmFindings(): Promise<Array<string>> {
  // deno-lint-ignore no-explicit-any
  const { violations } = await (globalThis as any).axe.run("#lost, .top", {
    runOnly: ["wcag2a", "wcag2aa"],
  })
  return violations.map(({ id, nodes }: { id: string; nodes: Array<{ html: string }> }) =>
    `${id}: ${nodes[0]?.html.slice(0, 100)}`
  )
}

/** Runs in the page. */
function statusWords(): Array<string> {
  return [...document.querySelectorAll("#status .pill")].map((pill) => {
    const word = pill.querySelector<HTMLElement>(".word")
    const isShown = word !== null && getComputedStyle(word).display !== "none"
    return isShown ? word.innerText : getComputedStyle(pill, "::after").content.replaceAll('"', "")
  })
}

/** Runs in the page: what the chart shows. */
function picture(): string {
  return [...document.querySelectorAll<HTMLCanvasElement>("#chart-canvas canvas")]
    .map((canvas) => canvas.toDataURL()).join()
}

/** Runs in the page: text wider than its box that is neither shortened on purpose nor scrolled. */
function cutOff(): Array<string> {
  return [...document.querySelectorAll<HTMLElement>("main :is(td, th, b, dd, button, p, a)")]
    .filter((element) => element.offsetParent !== null)
    .filter((element) => {
      const { right } = element.getBoundingClientRect()
      return right > innerWidth + 1 ||
        (element.scrollWidth > element.clientWidth + 1 &&
          getComputedStyle(element).overflowX === "hidden" &&
          getComputedStyle(element).textOverflow !== "ellipsis")
    })
    .map((element) => `${element.tagName} ${element.textContent?.trim().slice(0, 40)}`)
}
