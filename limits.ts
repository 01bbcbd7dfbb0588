/** Every operational limit of the runtime, with its unit. What an operator chooses is in `config.ts`. */

export const limits = {
  /** Reconnection to a venue: full jitter, doubling; then alert and poll. */
  reconnect: { baseMs: 500, capMs: 30_000, attemptsMax: 5 },

  /** A socket without any frame, pong included, is dead after `deadAfterMs`. */
  liveness: {
    pingEveryMs: 1_000,
    deadAfterMs: 3_000,
    handshakeTimeoutMs: 5_000,
    closeGraceMs: 500,
  },

  /** Messages waiting in a mailbox; each actor's policy says what happens beyond. */
  mailbox: { journal: 10_000, account: 10_000, feed: 20_000, runner: 2_000, monitor: 20_000 },

  restart: {
    /** Crashes of one supervisor's children within the period, after which it fails upward. */
    intensity: 5,
    periodMs: 10_000,
    /** Full jitter, doubling; forgotten after a stable minute. */
    backoff: { baseMs: 100, capMs: 10_000, resetAfterMs: 60_000 },
    /** Given to an actor to stop by itself. */
    shutdownMs: 1_000,
  },

  journal: {
    /** Events of one commit. */
    groupMax: 64,
    /** Events between two snapshots. */
    snapshotEvery: 10_000,
    /** Events read at a time on replay. */
    pageSize: 1_000,
  },

  orders: {
    /** Waiting for the venue's answer to a request. */
    requestTimeoutMs: 5_000,
    /** Between the queries of an order nobody knows the state of. */
    queryEveryMs: 1_000,
    /** An open order older than this is looked up. */
    ageMaxMs: 30_000,
    /** Between two reconciliations of an account that seems in order. */
    reconcileEveryMs: 60_000,
  },

  rest: {
    /** Between two polls of all prices while the stream is down. */
    pollEveryMs: 2_000,
    /** Rows of one page of klines or trades. */
    pageSize: 1_000,
    attemptsMax: 3,
  },

  /** What the read model keeps for people. */
  overview: { orders: 200, fills: 200, events: 200, alerts: 50, seriesPoints: 2_000 },

  /** From a signal to the end of the process. */
  stopMs: 3_000,

  /** Of `keel.json`. */
  configBytesMax: 1_000_000,
} as const
