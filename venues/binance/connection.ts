/** Connections count like requests: per address, and a refused one says how long to wait. */
import { Effect, type Scope } from "effect"
import type { Priority } from "../governor.ts"
import { VenueError } from "../market_data.ts"
import { type Connection, openConnection } from "../socket.ts"
import { connectionOf } from "./request_costs.ts"
import type { Rest } from "./rest.ts"

/** Opens one when it is its turn; `weight` is what is asked on it at once. */
export const openGoverned = Effect.fnUntraced(function* (
  rest: Rest,
  options: Parameters<typeof openConnection>[0],
  asking: { readonly priority: Priority; readonly weight: number },
): Effect.fn.Return<Connection, VenueError, Scope.Scope> {
  const { venue, doing } = options
  return yield* rest.governor.run(
    connectionOf(asking.priority, asking.weight),
    Effect.tapError(openConnection(options), ({ reason }) => rest.heed(reason)),
  ).pipe(
    Effect.mapError((error) =>
      error._tag === "Throttled" ? new VenueError({ venue, doing, reason: error }) : error
    ),
  )
})
