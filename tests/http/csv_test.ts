import assert from "node:assert/strict"
import { csv } from "../../http/csv.ts"

const row = (...cells: ReadonlyArray<string | number | null>) =>
  csv(["h"], [cells]).split("\r\n").slice(1, -1).join("\r\n")

Deno.test("csv() quotes commas, quotes and line ends", () => {
  assert.equal(row("a,b", 'say "no"', "two\nlines"), '"a,b","say ""no""","two\nlines"')
})

Deno.test("csv() lets no text run as a formula, and leaves negative numbers alone", () => {
  assert.equal(row("=SUM(A1)", "@x", "+1 more"), "'=SUM(A1),'@x,'+1 more")
  assert.equal(row("-0.42", -7), "-0.42,-7")
})

Deno.test("csv() shows null as nothing", () => {
  assert.equal(row("a", null, "b"), "a,,b")
})
