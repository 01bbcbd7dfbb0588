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
  },

  /** Crashes of one strategy within the period, after which it is stopped, alone. */
  runner: { intensity: 10, periodMs: 900_000 },

  journal: {
    /** Events read at a time on replay. */
    pageSize: 1_000,
    /** Events kept in memory for followers that are a little behind. */
    recentMax: 5_000,
  },

  /** Trading rules are read again so often, and when an order breaks one. */
  rules: { everyMs: 3_600_000, restMs: 5_000 },

  feed: {
    /** Between two polls of all prices while the stream is down. */
    pollEveryMs: 2_000,
    /** Between two looks at bars that have ended and at connections that say nothing. */
    sweepEveryMs: 250,
    /** How long after its end a bar waits for late trades. */
    barGraceMs: 500,
    showEveryMs: 500,
  },

  orders: {
    /** Waiting for the venue's answer to a request. */
    requestTimeoutMs: 5_000,
    /** For how long after its timestamp the venue may still execute a request. */
    recvWindowMs: 3_000,
    checkEveryMs: 1_000,
    /** Age at which an order that should be done is asked about. */
    askAfterMs: 3_000,
    /** The same for a resting limit order. */
    askRestingAfterMs: 60_000,
    /** A request without an answer by then counts as unconfirmed. */
    answerTimeoutMs: 7_000,
    /** After its submission, when "no such order" may be believed. */
    conclusiveAfterMs: 15_000,
    /** For how long nothing is opened for a strategy that the venue refused for a lasting reason. */
    coolDownMs: 60_000,
    /** After which an approval that never reached the books is forgotten. */
    pendingForMs: 10_000,
  },

  account: {
    /** Between two reconciliations of an account that seems in order. */
    reconcileEveryMs: 30_000,
    reconcileRetryMs: 1_000,
    reconcileTimeoutMs: 15_000,
    subscribeTimeoutMs: 5_000,
    valueEveryMs: 500,
    /** Between two points of the equity curve in the journal. */
    markEveryMs: 15_000,
  },

  operator: {
    /** How long the venue may take over cancelling, and over closing, in one round of a flatten. */
    confirmTimeoutMs: 10_000,
    lookEveryMs: 50,
  },

  monitor: { refreshEveryMs: 250, chartBars: 900 },

  /** What the read model keeps for people. */
  overview: {
    orders: 200,
    fills: 200,
    events: 200,
    /** Points of a chart, one a second. */
    points: 3_600,
    commands: 200,
    progressLines: 200,
  },

  /** After which a start is done although a venue that answers has sent no price yet. */
  firstPriceMs: 10_000,

  /** From a signal to the end of the process. */
  stopMs: 3_000,

  /** Of `keel.json`. */
  configBytesMax: 1_000_000,
} as const
