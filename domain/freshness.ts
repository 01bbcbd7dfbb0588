/**
 * The proof that a price may be acted on.
 *
 * An order that opens or increases exposure cannot be built without one. Only the feed issues it,
 * from a price that arrived on a live stream; it names one instrument, it expires, and the feed
 * takes it back the moment it knows better, wherever the proof has got to by then. A polled price,
 * however new, never yields one: it serves exits.
 */
import type { Decimal } from "./decimal.ts"
import type { InstrumentId } from "./instrument.ts"

export class Fresh {
  #isRevoked = false

  // Private, so that nothing that merely looks like a proof is one.
  private constructor(
    readonly instrument: InstrumentId,
    readonly bid: Decimal,
    readonly ask: Decimal,
    /** Since when the price is known, in epoch milliseconds of our clock. */
    readonly heardAt: number,
    readonly expiresAt: number,
  ) {}

  /** For the feed alone; the architecture test holds everybody else to it. */
  static issue(
    instrument: InstrumentId,
    price: { readonly bid: Decimal; readonly ask: Decimal },
    heardAt: number,
    staleAfterMs: number,
  ): Fresh {
    return new Fresh(instrument, price.bid, price.ask, heardAt, heardAt + staleAfterMs)
  }

  /** For the feed alone, too: the stream has died, the instrument is halted. There is no way back. */
  revoke() {
    this.#isRevoked = true
  }

  /** A price from the future proves nothing: the clock was set back, and it may be any age. */
  isValidAt(time: number): boolean {
    return !this.#isRevoked && time >= this.heardAt && time < this.expiresAt
  }
}
