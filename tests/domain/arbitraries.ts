/** Values of the domain, drawn at random. */
import fc from "fast-check"
import { type Decimal, decimal } from "../../domain/decimal.ts"
import type { Fill } from "../../domain/position.ts"

/** `units` times 10 ** -scale, as text. */
export function textOf(units: bigint, scale: number): string {
  const sign = units < 0n ? "-" : ""
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, "0")
  const point = digits.length - scale
  return scale === 0
    ? `${sign}${digits}`
    : `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}

export function anyDecimal(
  bounds: { readonly min: bigint; readonly max: bigint; readonly scaleMax: number },
): fc.Arbitrary<Decimal> {
  return fc.tuple(
    fc.bigInt({ min: bounds.min, max: bounds.max }),
    fc.nat(bounds.scaleMax),
  ).map(([units, scale]) => decimal(textOf(units, scale)))
}

export const anyPrice = anyDecimal({ min: 1n, max: 10n ** 12n, scaleMax: 8 })
export const anyQuantity = anyDecimal({ min: 1n, max: 10n ** 10n, scaleMax: 8 })

/** Of `BTC/USDT.BINANCE`; fees in the base asset stay below what was traded. */
export const anyFill: fc.Arbitrary<Fill> = fc.record({
  executionId: fc.nat().map(String),
  clientOrderId: fc.constantFrom("a", "b"),
  instrument: fc.constant("BTC/USDT.BINANCE"),
  side: fc.constantFrom("buy" as const, "sell" as const),
  quantity: anyQuantity,
  price: anyPrice,
  fee: anyDecimal({ min: 0n, max: 10n ** 6n, scaleMax: 8 }),
  feeAsset: fc.constantFrom("BTC", "USDT", "BNB"),
  time: fc.nat(),
})
