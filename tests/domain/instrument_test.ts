import assert from "node:assert/strict"
import fc from "fast-check"
import {
  absolute,
  compare,
  decimal,
  formatDecimal,
  isEqual,
  isZero,
  negate,
  subtract,
} from "../../domain/decimal.ts"
import {
  type Instrument,
  instrumentPattern,
  intervalMs,
  isTradable,
  quantise,
  quantisePrice,
  tradableQuantity,
  venueOf,
} from "../../domain/instrument.ts"
import { anyDecimal, anyPrice, anyQuantity } from "./arbitraries.ts"

const instrument: Instrument = {
  id: "BTC/USDT.BINANCE",
  venue: "binance",
  assetClass: "crypto",
  symbol: "BTCUSDT",
  base: "BTC",
  quote: "USDT",
  tickSize: decimal("0.01"),
  lotSize: decimal("0.001"),
  quantityMin: decimal("0.002"),
  quantityMax: decimal("100"),
  notionalMin: decimal("5"),
  status: "trading",
}

Deno.test("quantise() never asks for more and loses less than a lot", () => {
  assert.equal(formatDecimal(quantise(instrument, decimal("0.3"))), "0.3")
  fc.assert(fc.property(anyQuantity, (quantity) => {
    const lots = quantise(instrument, quantity)
    assert.ok(compare(lots, quantity) <= 0)
    assert.ok(compare(subtract(quantity, lots), instrument.lotSize) < 0)
  }))
})

Deno.test("quantisePrice() rounds buys down and sells up", () => {
  assert.equal(formatDecimal(quantisePrice(instrument, decimal("1.019"), "buy")), "1.01")
  assert.equal(formatDecimal(quantisePrice(instrument, decimal("1.011"), "sell")), "1.02")
  assert.equal(formatDecimal(quantisePrice(instrument, decimal("1.01"), "sell")), "1.01")
})

Deno.test("isTradable() needs the smallest quantity and the smallest notional", () => {
  assert.equal(isTradable(instrument, decimal("0.002"), decimal("2500")), true)
  assert.equal(isTradable(instrument, decimal("0.001"), decimal("60000")), false)
  assert.equal(isTradable(instrument, decimal("0.002"), decimal("2499.99")), false)
})

Deno.test("tradableQuantity() is whole lots of the holding, or nothing when only dust is left", () => {
  const price = decimal("60000")
  const text = (quantity: string) =>
    formatDecimal(tradableQuantity(instrument, decimal(quantity), price))
  assert.deepEqual(["0.99999", "-0.99999", "0.0019", "0"].map(text), ["0.999", "-0.999", "0", "0"])
  assert.equal(formatDecimal(tradableQuantity(instrument, decimal("0.0029"), undefined)), "0.002")
  assert.equal(formatDecimal(tradableQuantity(instrument, decimal("0.0019"), undefined)), "0")
  fc.assert(
    fc.property(
      anyDecimal({ min: -(10n ** 10n), max: 10n ** 10n, scaleMax: 8 }),
      anyPrice,
      (held, at) => {
        const tradable = tradableQuantity(instrument, held, at)
        assert.ok(compare(absolute(tradable), absolute(held)) <= 0)
        assert.ok(isZero(tradable) || tradable.value > 0n === held.value > 0n)
        assert.ok(isEqual(tradableQuantity(instrument, negate(held), at), negate(tradable)))
      },
    ),
  )
})

Deno.test("venueOf() is the last part in lower case", () => {
  assert.deepEqual(["BTC/USDT.BINANCE", "BRK.B.ALPACA"].map(venueOf), ["binance", "alpaca"])
})

Deno.test("instrumentPattern takes pairs and stocks, and no other words", () => {
  for (const good of ["BTC/USDT.BINANCE", "AAPL.ALPACA", "1INCH/USDT.BINANCE"]) {
    assert.match(good, instrumentPattern)
  }
  for (
    const bad of [
      "BTCUSDT",
      "btc/usdt.BINANCE",
      "BTC/.BINANCE",
      "A/B/C.X",
      "",
      "BTC/USDT.BINANCE\n",
    ]
  ) {
    assert.doesNotMatch(bad, instrumentPattern)
  }
})

Deno.test("intervalMs() reads seconds, minutes, hours and days", () => {
  assert.deepEqual(["1s", "5s", "1m", "4h", "1d"].map(intervalMs), [
    1_000,
    5_000,
    60_000,
    14_400_000,
    86_400_000,
  ])
  for (const bad of ["", "0m", "m", "1", "1M", "-1m", "1.5m", "10000m", "1m "]) {
    assert.equal(intervalMs(bad), undefined)
  }
})
