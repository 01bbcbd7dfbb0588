/**
 * One WebSocket connection that can be trusted to end.
 *
 * It pings, notices a peer that has gone silent without saying so, and can always be closed: npm
 * `ws` under Effect's `Socket`, because the built-in WebSocket can do none of this. Frames take a
 * shorter way than the rest, all that one read has brought at once: a market speaks too fast to
 * resume a fiber for every word. Silence is measured on the network's own clock, which is the real
 * one, in a replay too, unless the network is simulated; whatever is decided because a connection
 * ended is decided elsewhere, on the injected clock.
 */
import { Clock, Context, Duration, Effect, Option, type Scope } from "effect"
import { Socket } from "effect/socket"
import WebSocket, { type ClientOptions } from "ws"
import { forever } from "../actors/runtime/forever.ts"
import {
  Closed,
  Faulty,
  Forbidden,
  Silent,
  Throttled,
  Unreachable,
  VenueError,
  type VenueFailure,
} from "./market_data.ts"

export interface LivenessPolicy {
  readonly pingEveryMs: number
  /** Silence, pongs included, after which the peer counts as dead. */
  readonly deadAfterMs: number
  readonly handshakeTimeoutMs: number
  /** How long a closing handshake may take before the socket is cut. */
  readonly closeGraceMs: number
}

/** Whose time silence is measured in, and what is under way that counts as no frame. */
export interface Network {
  readonly clock: Clock.Clock
  /** Begun, and neither answered nor given up. */
  handshakesOpen: number
  /** Sent on connections that stand, and not answered. */
  pingsOpen: number
  /** Grows with every frame that we send and every connection that begins, stands or ends. */
  stirred: number
}
export const Network = Context.Reference<Network>("venues/socket/Network", {
  defaultValue: () => ({
    clock: Clock.Clock.defaultValue(),
    handshakesOpen: 0,
    pingsOpen: 0,
    stirred: 0,
  }),
})

/** Counts what is on its way between a venue and us: a replay waits until nothing is. */
export interface Traffic {
  framesReceived: number
  requestsOpen: number
}

export interface Connection {
  /** The frames that have arrived, at least one, in order. Fails when the connection has ended. */
  readonly pull: Effect.Effect<ReadonlyArray<string>, VenueError>
  readonly send: (text: string) => Effect.Effect<void, VenueError>
}

const decoder = new TextDecoder()
/** Characters that may wait to be pulled before the peer is made to wait. */
const WAITING_MAX = 1_048_576
/** Waited when a venue says "too many requests" without saying how long. */
const RETRY_AFTER_DEFAULT_MS = 60_000
const RETRY_AFTER_MAX_MS = 3 * 86_400_000
/** The end of the peer is noticed up to one look late; venues count pings, so those stay seldom. */
const LOOKS_PER_PING = 4

/** Opens one connection; it is cut when the scope closes. `doing` names it in errors. */
export const openConnection = Effect.fn("openConnection")(function* (options: {
  readonly venue: string
  readonly doing: string
  readonly url: string
  readonly policy: LivenessPolicy
  readonly traffic: Traffic
  /**
   * Whether the scope closes only once the peer has confirmed, or the grace is over: for a venue
   * that counts connections and would refuse the next one. Default false.
   */
  readonly awaitsClose?: boolean
}): Effect.fn.Return<Connection, VenueError, Scope.Scope> {
  const { venue, doing, url, policy, traffic } = options
  const network = yield* Network
  const inbox = new Inbox()
  let known: VenueFailure | undefined
  let look = () => {}
  let closed = Promise.resolve()
  // Added before the socket is, so run after it has been told to close.
  if (options.awaitsClose) yield* Effect.addFinalizer(() => Effect.promise(() => closed))
  yield* Effect.addFinalizer(() => Effect.sync(() => inbox.discard()))
  const construct = (address: string) => {
    const live = liveSocket(address, policy, network, (failure) => known ??= failure)
    look = live.look
    closed = new Promise((done) => void live.socket.once("close", () => done()))
    live.socket.on("message", (data) => {
      live.heard()
      traffic.framesReceived++
      inbox.push(data instanceof ArrayBuffer ? decoder.decode(data) : data.toString())
    })
    inbox.source = live.socket
    return withoutFrames(live.socket)
  }
  const fail = (error: Socket.SocketError) =>
    new VenueError({ venue, doing, reason: known ?? failureOf(error, policy) })
  const socket = yield* Socket.makeWebSocket(url, { openTimeout: policy.handshakeTimeoutMs }).pipe(
    Effect.provideService(Socket.WebSocketConstructor, construct),
  )
  const { pull: ended } = yield* Effect.mapError(socket.reader, fail)
  // No frame comes this way, so it is heard of only when the connection is over.
  yield* Effect.forkScoped(
    Effect.catch(ended, (error) => Effect.sync(() => inbox.end(fail(error)))),
  )
  const { write } = yield* socket.writer
  const pause = network.clock.sleep(Duration.millis(policy.pingEveryMs / LOOKS_PER_PING))
  yield* Effect.forkScoped(forever(Effect.andThen(pause, Effect.sync(() => look()))))
  return {
    pull: inbox.pull,
    send: (frame) =>
      Effect.suspend(() => {
        network.stirred++
        return Effect.mapError(write(frame), fail)
      }),
  }
})

/** Frames that have come and were not pulled yet; its source waits while there are too many. */
class Inbox {
  source: Pick<WebSocket, "isPaused" | "pause" | "resume"> | undefined
  #frames: Array<string> = []
  #characters = 0
  #error: VenueError | undefined
  #isDiscarding = false
  #wake = () => {}

  push(frame: string) {
    if (this.#isDiscarding) return
    // Woken only after all that this read has brought.
    if (this.#frames.push(frame) === 1) queueMicrotask(() => this.#wake())
    this.#characters += frame.length
    if (this.#characters >= WAITING_MAX) this.source?.pause()
  }

  end(error: VenueError) {
    this.#error ??= error
    this.#wake()
  }

  /** Nobody pulls any more. What is held back now would hold back the peer's goodbye, too. */
  discard() {
    this.#isDiscarding = true
    this.#take()
  }

  readonly pull: Effect.Effect<ReadonlyArray<string>, VenueError> = Effect.callback((resume) => {
    const wake = () => {
      if (this.#frames.length > 0) resume(Effect.succeed(this.#take()))
      else if (this.#error !== undefined) resume(Effect.fail(this.#error))
      else return
      if (this.#wake === wake) this.#wake = () => {}
    }
    this.#wake = wake
    wake()
    return Effect.sync(() => {
      if (this.#wake === wake) this.#wake = () => {}
    })
  })

  #take(): ReadonlyArray<string> {
    const frames = this.#frames
    this.#frames = []
    this.#characters = 0
    if (this.source?.isPaused) this.source.resume()
    return frames
  }
}

/** The socket for everything but its frames. */
function withoutFrames(socket: WebSocket): Socket.WebSocketLike {
  const events: Pick<Socket.WebSocketLike, "addEventListener" | "removeEventListener"> =
    socket as unknown as Socket.WebSocketLike
  return {
    get readyState() {
      return socket.readyState
    },
    addEventListener: (type, listener, options) => {
      if (type !== "message") events.addEventListener(type, listener, options)
    },
    removeEventListener: (type, listener) => events.removeEventListener(type, listener),
    send: (data) => socket.send(data),
    close: (code, reason) => socket.close(code, reason),
  }
}

/**
 * `blame` is told what the socket itself cannot say: silence, and the answer to a refused upgrade.
 * Whoever takes its messages calls `heard` for each.
 */
function liveSocket(
  url: string,
  policy: LivenessPolicy,
  network: Network,
  blame: (failure: VenueFailure) => void,
): { readonly socket: WebSocket; readonly heard: () => void; readonly look: () => void } {
  // `ws` 8.23 takes `closeTimeout`; its type package does not list it yet.
  const settings: ClientOptions & { closeTimeout: number } = {
    handshakeTimeout: policy.handshakeTimeoutMs,
    closeTimeout: policy.closeGraceMs,
    perMessageDeflate: false,
  }
  const now = () => Number(network.clock.monotonicTimeNanosUnsafe()) / 1_000_000
  const socket = new WebSocket(url, settings)
  let heardAt = now()
  let isShaking = true
  let pingsOpen = 0
  const shaken = () => {
    network.stirred++
    if (isShaking) network.handshakesOpen--
    isShaking = false
  }
  network.handshakesOpen++
  network.stirred++
  let hasHeard = false
  // Frames of one read are heard at once: to ask the clock for each would cost more than to read it.
  const heard = () => {
    if (hasHeard) return
    hasHeard = true
    heardAt = now()
    queueMicrotask(() => hasHeard = false)
  }
  for (const sign of ["open", "ping", "pong"] as const) socket.on(sign, heard)
  socket.on("open", shaken)
  socket.on("pong", () => {
    network.pingsOpen -= pingsOpen
    pingsOpen = 0
  })
  socket.on("close", () => {
    shaken()
    network.pingsOpen -= pingsOpen
    pingsOpen = 0
  })
  socket.on("error", (error) => {
    if (/handshake has timed out/i.test(error.message)) {
      blame(new Silent({ what: "handshake", afterMs: policy.handshakeTimeoutMs }))
    }
  })
  // A listener suppresses the automatic error, whose text alone would name the status.
  socket.on("unexpected-response", (_request, response) => {
    const { "retry-after": retryAfter, date } = response.headers
    blame(refusal(response.statusCode ?? 0, retryAfter, undefined, date))
    response.destroy()
    socket.terminate()
  })
  let looks = 0
  const look = () => {
    if (socket.readyState !== WebSocket.OPEN) return
    // While we hold the socket paused the silence is ours, not the venue's.
    if (socket.isPaused) return heard()
    if (now() - heardAt >= policy.deadAfterMs) {
      blame(new Silent({ what: "connection", afterMs: policy.deadAfterMs }))
      return socket.terminate()
    }
    if (++looks % LOOKS_PER_PING !== 0) return
    network.pingsOpen++
    pingsOpen++
    socket.ping()
  }
  return { socket, heard, look }
}

function failureOf(error: Socket.SocketError, policy: LivenessPolicy): VenueFailure {
  const { reason } = error
  switch (reason._tag) {
    case "SocketCloseError":
      return new Closed({ code: reason.code, detail: reason.closeReason ?? "" })
    case "SocketOpenError":
      return reason.kind === "Timeout"
        ? new Silent({ what: "handshake", afterMs: policy.handshakeTimeoutMs })
        : new Unreachable({ detail: causeText(reason.cause) })
    case "SocketReadError":
    case "SocketWriteError":
    case "SocketUpgradeError":
      return new Unreachable({ detail: causeText(reason.cause) })
  }
}

/**
 * What an HTTP status in place of an answer means for whoever wants to try again. `detail` is what
 * the venue itself said, where it said something, `date` the header of that name.
 */
export function refusal(
  status: number,
  retryAfter: string | undefined,
  detail?: string,
  date?: string,
): VenueFailure {
  if (status === 429 || status === 418) {
    return new Throttled({ status, retryAfterMs: retryAfterMs(retryAfter, date) })
  }
  if (status === 401 || status === 403 || status === 451) {
    const why = status === 451 ? "not served in this region" : "key or address not accepted"
    return new Forbidden({ detail: detail ?? `HTTP ${status}, ${why}` })
  }
  return new Faulty({ detail: detail ?? `HTTP ${status}` })
}

/**
 * Of a `Retry-After` in seconds, or as a date, which is compared with the `Date` of the same answer:
 * both are the venue's clock. No venue bans for longer than three days.
 */
export function retryAfterMs(header: string | undefined, date?: string): number {
  if (header === undefined) return RETRY_AFTER_DEFAULT_MS
  const ms = /^\d+(?:\.\d+)?$/.test(header)
    ? Math.ceil(Number(header) * 1_000)
    : Date.parse(header) - Date.parse(date ?? "")
  return Number.isFinite(ms)
    ? Math.min(Math.max(ms, 0), RETRY_AFTER_MAX_MS)
    : RETRY_AFTER_DEFAULT_MS
}

/** The words of an error from below, whatever it is: `connect ECONNREFUSED 127.0.0.1:9`. */
export function causeText(cause: unknown): string {
  return Option.getOrElse(messageOf(cause), () => "connection failed")
}

function messageOf(cause: unknown): Option.Option<string> {
  if (typeof cause === "string" && cause !== "") return Option.some(cause)
  if (typeof cause !== "object" || cause === null) return Option.none()
  if ("error" in cause && cause.error !== undefined) return messageOf(cause.error)
  if ("message" in cause && typeof cause.message === "string" && cause.message !== "") {
    return Option.some(cause.message)
  }
  if ("code" in cause && typeof cause.code === "string") return Option.some(cause.code)
  return Option.none()
}
