/** Tables for spreadsheets: RFC 4180, and nothing in them runs as a formula. */
import type { FillView, OrderView } from "../domain/overview.ts"

type Cell = string | number | null | undefined

/** Text that a spreadsheet would take for a formula; a negative number is none. */
const FORMULA = /^[=+\-@\t\r]/
const NUMBER = /^-?\d+(\.\d+)?$/

export function csv(
  header: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<Cell>>,
): string {
  return [header, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n"
}

export function ordersCsv(orders: ReadonlyArray<OrderView>): string {
  return csv(
    [
      "clientOrderId",
      "venueOrderId",
      "instrument",
      "side",
      "type",
      "quantity",
      "filledQuantity",
      "price",
      "averagePrice",
      "status",
      "time",
      "updatedAt",
      "origin",
      "reason",
      "note",
    ],
    orders.map((order) => [
      order.clientOrderId,
      order.venueOrderId,
      order.instrument,
      order.side,
      order.type,
      order.quantity,
      order.filledQuantity,
      order.price,
      order.averagePrice,
      order.status,
      order.time,
      order.updatedAt,
      order.origin,
      order.reason,
      order.note,
    ]),
  )
}

export function fillsCsv(fills: ReadonlyArray<FillView>): string {
  return csv(
    [
      "executionId",
      "clientOrderId",
      "instrument",
      "side",
      "quantity",
      "price",
      "fee",
      "feeAsset",
      "time",
    ],
    fills.map((fill) => [
      fill.executionId,
      fill.clientOrderId,
      fill.instrument,
      fill.side,
      fill.quantity,
      fill.price,
      fill.fee,
      fill.feeAsset,
      fill.time,
    ]),
  )
}

function cell(value: Cell): string {
  const text = String(value ?? "")
  const safe = FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
