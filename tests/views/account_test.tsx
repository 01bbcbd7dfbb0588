import assert from "node:assert/strict"
import type { Overview } from "../../domain/overview.ts"
import { Accounts } from "../../views/account.tsx"
import type { PageView } from "../../views/page_view.ts"

function html(total: string, start: string): string {
  const equity = { total, start, exposure: "0", drawdown: "0" }
  const account = { venue: "binance", label: "Binance simulated", status: "ready", paused: false }
  const overview = {
    accounts: [{ ...account, link: "streaming", cash: [], dust: [], requests: [], equity }],
  } as unknown as Overview
  return String(
    <Accounts
      view={{ overview, events: [], sparks: {}, instruments: [] } as unknown as PageView}
    />,
  )
}

Deno.test("an account's profit is exact, however small", () => {
  assert.match(html("100000.00000001", "100000"), /<dd class="flat">\$0\.00<\/dd>/)
  assert.match(html("99999.995", "100000.000"), /<dd class="down">\u2212\$0\.01<\/dd>/)
  assert.match(html("100250.3", "100000.1"), /<dd class="up">\+\$250\.20<\/dd>/)
})
