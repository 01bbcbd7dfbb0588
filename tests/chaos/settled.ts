/**
 * When everything under way on a simulated network has been digested, and time may move.
 *
 * As in a replay: frames that were sent have been received, requests answered, events are durable
 * and mailboxes empty. Here a venue may also leave us without an answer on purpose. What has not
 * moved for some real time is stuck, and waited for no longer until it moves again.
 */
import type { Strike } from "../../venues/simulator/faults.ts"
import type { Network, Traffic } from "../../venues/socket.ts"

export interface Activity {
  /** The venue's side of the wire. */
  readonly venue: () => { readonly framesSent: number; readonly requestsOpen: number }
  readonly ours: () => Traffic
  readonly network: Network
  /** Work that the platform does aside: signatures. */
  readonly aside: () => number
  readonly storePending: () => number
  readonly actorsIdle: () => boolean
  /** Faults that have struck so far. */
  readonly strikes: () => ReadonlyArray<Strike>
}

/** Turns of the event loop without any activity after which nothing is left to happen. */
const QUIET_TURNS = 10
/** While something is stuck nobody can tell when it comes loose: it has the time of a round trip. */
const QUIET_TURNS_STUCK = 60
/**
 * What we send, and the end of a connection, is no frame of the venue and no answer: after either,
 * what follows has so much time to get through by the machine's clock.
 */
const STIRRED_MS = 6
/** Connections that these faults end are waited for to end here, too. */
const ENDING: ReadonlySet<Strike["kind"]> = new Set(
  [
    "reset_connections",
    "cut_connections",
    "close_connections",
    "outage",
  ] as const,
)
/** What has not moved for so long by the machine's clock is stuck. */
const STUCK_AFTER_MS = 250

export function makeSettled(activity: Activity): () => Promise<void> {
  const { network, ours } = activity
  let framesLost = 0
  let stirred = 0
  let struck = 0
  /** How much had stirred when connections were ended at the other side. */
  let ending: number | undefined
  let stuck = { requests: 0, handshakes: 0, pings: 0 }
  const missing = () => activity.venue().framesSent - framesLost - ours().framesReceived
  const open = () => ({
    requests: ours().requestsOpen,
    handshakes: network.handshakesOpen,
    pings: network.pingsOpen,
  })
  const isQuiet = () =>
    activity.venue().requestsOpen === 0 && activity.storePending() === 0 &&
    activity.aside() === 0 && activity.actorsIdle()

  return () =>
    new Promise<void>((done) => {
      let quiet = 0
      let stirredAt = -Infinity
      let unmoved = { sign: "", since: 0 }
      const look = () => {
        const now = open()
        stuck = {
          requests: Math.min(stuck.requests, now.requests),
          handshakes: Math.min(stuck.handshakes, now.handshakes),
          pings: Math.min(stuck.pings, now.pings),
        }
        const strikes = activity.strikes()
        if (strikes.slice(struck).some(({ kind }) => ENDING.has(kind))) ending = stirred - struck
        if (ending !== undefined && network.stirred > ending) ending = undefined
        const isWaiting = ending !== undefined || missing() > 0 || now.requests > stuck.requests ||
          now.handshakes > stuck.handshakes || now.pings > stuck.pings
        quiet = !isWaiting && isQuiet() ? quiet + 1 : 0
        if (isWaiting) {
          const sign = `${ending} ${missing()} ${now.requests} ${now.handshakes} ${now.pings}`
          if (sign !== unmoved.sign) unmoved = { sign, since: performance.now() }
          else if (performance.now() - unmoved.since > STUCK_AFTER_MS) {
            framesLost += Math.max(0, missing())
            ending = undefined
            stuck = now
          }
        }
        struck = strikes.length
        if (struck + network.stirred !== stirred) stirredAt = performance.now()
        stirred = struck + network.stirred
        const isStuck = stuck.requests + stuck.handshakes + stuck.pings > 0
        const isOver = performance.now() - stirredAt > STIRRED_MS
        if (isOver && quiet >= (isStuck ? QUIET_TURNS_STUCK : QUIET_TURNS)) done()
        else setImmediate(look)
      }
      look()
    })
}
