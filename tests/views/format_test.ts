import assert from "node:assert/strict"
import fc from "fast-check"
import {
  actorName,
  attemptText,
  averagePrice,
  figure,
  percent,
  price,
  quantity,
  rate,
  roundedPrice,
  sentence,
  signed,
  signedPercent,
  signedUsd,
  symbolOf,
  tone,
  usd,
  venueNameOf,
  words,
} from "../../views/format.ts"

const MINUS = "\u2212"

Deno.test("figure() groups digits, rounds half away from zero, and has a true minus", () => {
  assert.equal(figure("1234567.891"), "1,234,567.89")
  assert.equal(figure("0.125"), "0.13")
  assert.equal(figure("-0.125"), `${MINUS}0.13`)
  assert.equal(figure("999.995"), "1,000.00")
  assert.equal(figure("12", 0), "12")
  assert.equal(figure("0.5", 0), "1")
})

Deno.test("figure() shows no negative zero", () => {
  assert.equal(figure("-0.001"), "0.00")
})

Deno.test("figure() keeps digits that a float would lose", () => {
  assert.equal(figure("123456789012345678.12"), "123,456,789,012,345,678.12")
})

Deno.test("figure() agrees with Intl wherever a float is exact", () =>
  fc.assert(
    fc.property(fc.integer({ min: -1_000_000_000, max: 1_000_000_000 }), (cents) => {
      const sign = cents < 0 ? "-" : ""
      const digits = String(Math.abs(cents)).padStart(3, "0")
      const decimal = `${sign}${digits.slice(0, -2)}.${digits.slice(-2)}`
      const reference = Intl.NumberFormat("en-US", { minimumFractionDigits: 2 })
        .format(cents === 0 ? 0 : cents / 100)
      assert.equal(figure(decimal), reference.replace("-", MINUS))
    }),
  ))

Deno.test("figure() shows what is no decimal as it is", () => {
  for (const text of ["", "NaN", "1e-18", "n/a"]) assert.equal(figure(text), text)
})

Deno.test("signed() has a sign only when something is left after rounding", () => {
  assert.equal(signed("12.3"), "+12.30")
  assert.equal(signed("0.004"), "0.00")
  assert.equal(signed("-3"), `${MINUS}3.00`)
})

Deno.test("usd() and signedUsd() put the sign before the dollar", () => {
  assert.equal(usd("-1234.5"), `${MINUS}$1,234.50`)
  assert.equal(signedUsd("1234.5"), "+$1,234.50")
  assert.equal(signedUsd("0"), "$0.00")
})

Deno.test("percent() moves the point and computes nothing", () => {
  assert.equal(percent("0.0123"), "1.23%")
  assert.equal(percent("1"), "100.00%")
  assert.equal(percent("0.00005"), "0.01%")
  assert.equal(signedPercent("-0.5"), `${MINUS}50.00%`)
})

Deno.test("price() keeps the decimals of its tick, at least two", () => {
  assert.equal(price("97061.40000000"), "97,061.40")
  assert.equal(price("0.38214000"), "0.38214")
})

Deno.test("averagePrice() is as precise as the price beside it", () => {
  assert.equal(averagePrice("3160.4949107002", "3157.60"), "3,160.49")
  assert.equal(averagePrice("0.382141234", "0.38214"), "0.38214")
})

Deno.test("quantity() drops trailing zeros", () => {
  assert.equal(quantity("0.42000000"), "0.42")
  assert.equal(quantity("180.00"), "180")
  assert.equal(quantity("-6.5"), `${MINUS}6.5`)
})

Deno.test("tone() says no more than the shown sign", () => {
  assert.equal(tone("0.004"), "flat")
  assert.equal(tone("0.006"), "up")
  assert.equal(tone("-2"), "down")
})

Deno.test("rate() is whole above ten", () => {
  assert.deepEqual([0, 0.25, 9.96, 12.7, 1234].map(rate), ["0", "0.3", "10.0", "13", "1,234"])
})

Deno.test("sentence() leaves the names of the program alone", () => {
  assert.equal(sentence("there is no order"), "There is no order.")
  assert.equal(sentence("mean_reversion:BTC runs already"), "mean_reversion:BTC runs already.")
  assert.equal(sentence("Done!"), "Done!")
})

Deno.test("actorName() drops what the place on the page says already", () => {
  assert.equal(actorName("runner:rsi_momentum:BTC-USDT.BINANCE"), "rsi_momentum:BTC-USDT")
  assert.equal(actorName("journal"), "journal")
})

Deno.test("roundedPrice() keeps what an average needs to be read", () => {
  assert.equal(roundedPrice("65752.65650002"), "65,752.66")
  assert.equal(roundedPrice("593.7733333"), "593.7733")
  assert.equal(roundedPrice("0.38214285"), "0.382143")
  assert.equal(roundedPrice("155.5"), "155.50")
})

Deno.test("words() and symbolOf() turn names into words", () => {
  assert.equal(words("rest_for_one"), "rest for one")
  assert.equal(words("FeedLost"), "Feed lost")
  assert.equal(symbolOf("BTC/USDT.BINANCE"), "BTC/USDT")
  assert.equal(symbolOf("BRK.B.ALPACA"), "BRK.B")
  assert.equal(venueNameOf("AAPL.ALPACA"), "Alpaca")
  assert.equal(venueNameOf("AAPL"), "")
})

Deno.test("attemptText() counts to the last that matters, and on", () => {
  assert.equal(attemptText(2, 5), "Attempt 2 of 5")
  assert.equal(attemptText(5, 5), "Attempt 5 of 5")
  assert.equal(attemptText(7, 5), "Attempt 7")
})
