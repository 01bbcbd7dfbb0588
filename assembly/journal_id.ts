/** What orders of one journal have in their names, and those of no other. */
import { Effect, Random } from "effect"

const LENGTH = 8

/** Eight of a-z and 0-9; random where the run is live, seeded where it is a replay. */
export const newJournalId = Effect.map(
  Effect.replicateEffect(Random.nextIntBetween(0, 36, { halfOpen: true }), LENGTH),
  (digits) => digits.map((digit) => digit.toString(36)).join(""),
)
