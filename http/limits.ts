/** Every limit of the HTTP side, in one place, with its unit. */
export const limits = {
  /** Browsers on `/events` at once. */
  viewersMax: 200,
  /** Readers of `/api/v1/events` at once. */
  journalReadersMax: 50,
  /** Notices (log lines, fills) kept for a browser that comes back; further behind gets a snapshot. */
  noticesMax: 500,
  /** Journal events shown in the log of a page. */
  logLinesMax: 150,
  /** Records read from the store at once. */
  recordsPerRead: 200,
  /** Rows on one page of the journal. */
  journalPageRows: 100,
  /** Of a command or a form, in bytes. */
  bodyMaxBytes: 16_384,
  /** Points of a sparkline; twice as many samples are thinned out by half. */
  sparkPoints: 60,
  /** Between the first samples of a sparkline. */
  sparkEveryMs: 1_000,
  /** Between signs of life on `/events`. */
  beatEveryMs: 1_000,
  /** Beats between heartbeat comments on an idle `/api/v1/events`. */
  journalHeartbeatBeats: 10,
  /** What requests in flight get when the server stops. */
  drainMs: 1_000,
  /** For the ends of streams to reach those who still read. */
  lastWordsMs: 50,
  /** Commands taken at once, and refilled per second. Those that make orders safe are not counted. */
  commandBurst: 30,
  commandsPerSecond: 5,
} as const
