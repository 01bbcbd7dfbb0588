/** What the journal says and what follows from it, written out: money as text, what is unknown as null. */
import type { Alert, Books } from "../../domain/books.ts"
import { divide, formatDecimal, isPositive } from "../../domain/decimal.ts"
import { encodeEvent, type JournalRecord } from "../../domain/event.ts"
import { narrate } from "../../domain/narration.ts"
import type { Order } from "../../domain/order.ts"
import type { AlertView, EventView, FillView, OrderView } from "../../domain/overview.ts"
import type { Fill } from "../../domain/position.ts"

/** A journal record as it leaves the process. */
export interface RecordView {
  readonly seq: number
  readonly time: number
  readonly event: { readonly _tag: string; readonly [field: string]: unknown }
  readonly view: EventView
}

export function recordView(record: JournalRecord): RecordView {
  return {
    seq: record.seq,
    time: record.time,
    event: encodeEvent(record.event),
    view: eventView(record),
  }
}

export function eventView({ seq, time, event }: JournalRecord): EventView {
  return { seq, time, type: event._tag, ...narrate(event) }
}

export function orderView(order: Order): OrderView {
  return {
    clientOrderId: order.clientOrderId,
    venueOrderId: order.venueOrderId ?? null,
    instrument: order.instrument,
    side: order.side,
    type: order.type,
    quantity: formatDecimal(order.quantity),
    filledQuantity: formatDecimal(order.filledQuantity),
    price: order.price === undefined ? null : formatDecimal(order.price),
    averagePrice: isPositive(order.filledQuantity)
      ? formatDecimal(divide(order.filledNotional, order.filledQuantity, 8))
      : null,
    status: order.status,
    time: order.submittedAt,
    updatedAt: order.updatedAt,
    reason: order.reason,
    origin: order.origin,
    ...(order.note !== undefined && { note: order.note }),
  }
}

export function fillView(fill: Fill): FillView {
  return {
    executionId: fill.executionId,
    clientOrderId: fill.clientOrderId,
    instrument: fill.instrument,
    side: fill.side,
    quantity: formatDecimal(fill.quantity),
    price: formatDecimal(fill.price),
    fee: formatDecimal(fill.fee),
    feeAsset: fill.feeAsset,
    time: fill.time,
  }
}

/** Unresolved first, each half newest first. */
export function alertViews({ alerts }: Books): ReadonlyArray<AlertView> {
  const view = ({ resolvedAt, ...alert }: Alert): AlertView => ({
    ...alert,
    resolvedAt: resolvedAt ?? null,
  })
  const newest = [...alerts.values()].reverse()
  return [
    ...newest.filter(({ resolvedAt }) => resolvedAt === undefined),
    ...newest.filter(({ resolvedAt }) => resolvedAt !== undefined),
  ].map(view)
}
