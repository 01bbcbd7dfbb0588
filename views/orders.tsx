/** Open orders first, then the newest closed ones, each with why it was sent and how it ended. */
import type { FC } from "hono/jsx"
import type { OrderView } from "../domain/overview.ts"
import { Empty } from "./card.tsx"
import { price, quantity, roundedPrice, symbolOf, venueNameOf, words } from "./format.ts"
import type { PageView } from "./page_view.ts"
import { orderTone } from "./status.tsx"
import { Clock } from "./time.tsx"

export const Orders: FC<{ view: PageView }> = ({ view: { overview } }) =>
  overview.orders.length === 0
    ? (
      <Empty title="No order yet">
        Strategies need some bars before their first signal.
      </Empty>
    )
    : (
      <table class="orders">
        <thead>
          <tr>
            <th scope="col" class="time">Time</th>
            <th scope="col">Order</th>
            <th scope="col" class="n">Filled</th>
            <th scope="col" class="n">Price</th>
            <th scope="col" class="wide reason">Why</th>
            <th scope="col">Status</th>
          </tr>
        </thead>
        <tbody>
          {overview.orders.map((order) => <Row key={order.clientOrderId} order={order} />)}
        </tbody>
      </table>
    )

const Row: FC<{ order: OrderView }> = ({ order }) => {
  const { clientOrderId, instrument, side, type, status } = order
  const tone = orderTone(status)
  return (
    <tr id={`order-${clientOrderId}`}>
      <td class="dim time">
        <Clock at={order.time} />
      </td>
      <th scope="row">
        {symbolOf(instrument)}
        <small>
          <span>
            <span class={side === "buy" ? "up" : "down"}>{side}</span> {type}
          </span>{" "}
          <span>at {venueNameOf(instrument)}</span>
        </small>
      </th>
      <td class="n">
        {quantity(order.filledQuantity)}
        <small>of {quantity(order.quantity)}</small>
      </td>
      <td class="n">
        {order.averagePrice !== null
          ? roundedPrice(order.averagePrice)
          : order.price !== null
          ? price(order.price)
          : <span class="dim">market</span>}
        {order.averagePrice === null && order.price !== null && <small>limit</small>}
      </td>
      <td class="wide reason" title={clientOrderId}>
        {order.reason}
        {order.note && <small class="note">{order.note}</small>}
      </td>
      <td class="status">
        <span class={`tag ${tone}`} title={order.note}>{words(status)}</span>
        {tone === "open" && status !== "cancel_pending" && (
          <button
            type="submit"
            form="form-cancel"
            class="cancel"
            id={`cancel-${clientOrderId}`}
            name="order"
            value={clientOrderId}
            aria-label={`Cancel ${side} ${symbolOf(instrument)}`}
          >
            Cancel
          </button>
        )}
      </td>
    </tr>
  )
}
