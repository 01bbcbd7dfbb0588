/**
 * What may go wrong at a venue, as data: a closed list, read from scenarios and from
 * the control endpoint through one schema.
 *
 * A fault says what happens, to whom, from when to when, how often and how likely.
 * Six classes, by what they strike: a request, an upgrade, a login, a frame, all
 * connections, the venue itself. A venue says which of them it cannot have.
 */
import { Schema } from "effect"

const Millis = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Count = Schema.Int.check(Schema.isGreaterThan(0))

/** Whom a fault strikes: everything that agrees with all it names; `*` stands for any text. */
export const Matcher = Schema.Struct({
  /** `GET`, `POST`, …, or the WS-API method. */
  method: Schema.optionalKey(Schema.String),
  /** Of a request or an upgrade. */
  path: Schema.optionalKey(Schema.String),
  symbol: Schema.optionalKey(Schema.String),
  /** Public stream, as in `btcusdt@trade`, or channel, as in `quotes`. */
  stream: Schema.optionalKey(Schema.String),
  /** Type of a user data event or a trade update. */
  event: Schema.optionalKey(Schema.String),
  /** Execution type of an execution report. */
  execution: Schema.optionalKey(Schema.String),
  /** Which kind of connection. */
  door: Schema.optionalKey(
    Schema.Literals([
      "rest",
      "streams",
      "wsApi",
      "trading",
      "data",
      "dataStream",
      "tradingStream",
    ]),
  ),
})
export type Matcher = typeof Matcher.Type
export type Subject = Matcher

const common = {
  id: Schema.optionalKey(Schema.NonEmptyString),
  /** Milliseconds after the venue's start; by default at once. */
  fromMs: Schema.optionalKey(Millis),
  /** Milliseconds after the venue's start; by default never. */
  untilMs: Schema.optionalKey(Millis),
  match: Schema.optionalKey(Matcher),
  /** How often it strikes at most. */
  count: Schema.optionalKey(Count),
  /** Of striking when it could; by default 1. */
  probability: Schema.optionalKey(
    Schema.Finite.check(Schema.isGreaterThan(0), Schema.isLessThanOrEqualTo(1)),
  ),
  seed: Schema.optionalKey(Schema.Int),
}
const when = { when: Schema.Literals(["before", "after"]) }

/** Struck by a request; `before` it is worked on, or `after`, when it has had its effect. */
export const RequestFault = Schema.Union([
  Schema.Struct({
    kind: Schema.Literal("respond"),
    ...common,
    ...when,
    status: Schema.Int,
    body: Schema.String,
    contentType: Schema.optionalKey(Schema.String),
    retryAfterSeconds: Schema.optionalKey(Schema.Int),
  }),
  /** The connection is reset instead of an answer. */
  Schema.Struct({ kind: Schema.Literal("reset"), ...common, ...when }),
  /** No answer, ever. */
  Schema.Struct({ kind: Schema.Literal("hang"), ...common, ...when }),
  Schema.Struct({ kind: Schema.Literal("delay"), ...common, ...when, ms: Millis }),
  /** The body ends in the middle. */
  Schema.Struct({ kind: Schema.Literal("truncate"), ...common, when: Schema.Literal("after") }),
  /** The body comes in pieces, one every `ms`. */
  Schema.Struct({
    kind: Schema.Literal("drip"),
    ...common,
    when: Schema.Literal("after"),
    ms: Millis,
  }),
  /** The order to be canceled fills first. */
  Schema.Struct({
    kind: Schema.Literal("fill_before_cancel"),
    ...common,
    when: Schema.Literal("before"),
  }),
])
export type RequestFault = typeof RequestFault.Type

/** Struck by an upgrade to a WebSocket. */
export const UpgradeFault = Schema.Union([
  Schema.Struct({
    kind: Schema.Literal("refuse_upgrade"),
    ...common,
    status: Schema.Int,
    retryAfterSeconds: Schema.optionalKey(Schema.Int),
  }),
  Schema.Struct({ kind: Schema.Literal("hang_upgrade"), ...common }),
])
export type UpgradeFault = typeof UpgradeFault.Type

/** Struck by who logs in to a stream, or subscribes on it; of Alpaca's streams. */
export const LoginFault = Schema.Union([
  /** The slot is taken: 406. Whether the venue then closes is its own matter, unless said here. */
  Schema.Struct({
    kind: Schema.Literal("slot_busy"),
    ...common,
    closes: Schema.optionalKey(Schema.Boolean),
  }),
  /** The keys are not good: 402, or `unauthorized`. */
  Schema.Struct({
    kind: Schema.Literal("auth_failure"),
    ...common,
    closes: Schema.optionalKey(Schema.Boolean),
  }),
  /** Too many symbols (405), or none of them for this plan (409). */
  Schema.Struct({
    kind: Schema.Literal("subscription_error"),
    ...common,
    code: Schema.Literals([405, 408, 409, 410, 500]),
  }),
])
export type LoginFault = typeof LoginFault.Type

/** Struck by a frame on its way out, public or private. */
export const FrameFault = Schema.Union([
  /** It is not sent. */
  Schema.Struct({ kind: Schema.Literal("drop"), ...common }),
  Schema.Struct({ kind: Schema.Literal("duplicate"), ...common }),
  /** It is sent after the next one. */
  Schema.Struct({ kind: Schema.Literal("swap"), ...common }),
  Schema.Struct({ kind: Schema.Literal("late"), ...common, ms: Millis }),
  /** It is sent as something else. */
  Schema.Struct({
    kind: Schema.Literal("garble"),
    ...common,
    as: Schema.Literals([
      "truncated_json",
      "unknown_event",
      "extra_fields",
      "null_price",
      "empty_price",
      "past_time",
      "crossed_quote",
      "bad_utf8",
      "reserved_bits",
      "huge_length",
    ]),
  }),
])
export type FrameFault = typeof FrameFault.Type

/** Strikes open connections as soon as it is due. */
export const ConnectionFault = Schema.Union([
  /** RST. */
  Schema.Struct({ kind: Schema.Literal("reset_connections"), ...common }),
  /** FIN without a close frame. */
  Schema.Struct({ kind: Schema.Literal("cut_connections"), ...common }),
  Schema.Struct({
    kind: Schema.Literal("close_connections"),
    ...common,
    code: Schema.Int,
    reason: Schema.optionalKey(Schema.String),
  }),
  /** Neither data nor pongs, and no end either. */
  Schema.Struct({ kind: Schema.Literal("freeze_connections"), ...common }),
  /** Connections live, pings are answered, and not one more frame comes. */
  Schema.Struct({ kind: Schema.Literal("mute"), ...common }),
  /** `serverShutdown`, then the end after `ms`. */
  Schema.Struct({ kind: Schema.Literal("server_shutdown"), ...common, ms: Millis }),
  /** Nobody can connect for `ms`; who was connected is cut. */
  Schema.Struct({ kind: Schema.Literal("outage"), ...common, ms: Millis }),
  /** `frames` quotes at once. */
  Schema.Struct({ kind: Schema.Literal("burst"), ...common, frames: Count }),
  Schema.Struct({ kind: Schema.Literal("end_user_data"), ...common }),
  /** The key is no longer good. */
  Schema.Struct({ kind: Schema.Literal("revoke_key"), ...common }),
  Schema.Struct({ kind: Schema.Literal("no_pings"), ...common }),
])
export type ConnectionFault = typeof ConnectionFault.Type

/** Changes the venue itself as soon as it is due. */
export const VenueFault = Schema.Union([
  /** The venue's clock is off by `ms`. */
  Schema.Struct({ kind: Schema.Literal("clock_skew"), ...common, ms: Schema.Int }),
  /** Queries show what was so `ms` ago. */
  Schema.Struct({ kind: Schema.Literal("read_lag"), ...common, ms: Millis }),
  Schema.Struct({
    kind: Schema.Literal("listing"),
    ...common,
    symbol: Schema.String,
    status: Schema.optionalKey(Schema.Literals(["TRADING", "HALT", "BREAK", "CANCEL_ONLY"])),
    tickSize: Schema.optionalKey(Schema.String),
    stepSize: Schema.optionalKey(Schema.String),
    notionalMin: Schema.optionalKey(Schema.String),
  }),
  /** Limits of requests, to make them easier to reach. */
  Schema.Struct({
    kind: Schema.Literal("limits"),
    ...common,
    weightPerMinute: Schema.optionalKey(Count),
    ordersPer10s: Schema.optionalKey(Count),
    connectionsPer5m: Schema.optionalKey(Count),
  }),
  /** Trading in one symbol stops, for `ms` or until it is resumed. */
  Schema.Struct({
    kind: Schema.Literal("halt"),
    ...common,
    symbol: Schema.String,
    /** As the tape has it, `T1` or `LUDP`. */
    code: Schema.optionalKey(Schema.String),
    reason: Schema.optionalKey(Schema.String),
    ms: Schema.optionalKey(Millis),
  }),
  Schema.Struct({ kind: Schema.Literal("resume"), ...common, symbol: Schema.String }),
  /** Limit up, limit down: prices nobody may trade beyond. By default 5 % around the last one. */
  Schema.Struct({
    kind: Schema.Literal("luld"),
    ...common,
    symbol: Schema.String,
    up: Schema.optionalKey(Schema.String),
    down: Schema.optionalKey(Schema.String),
  }),
  /** The last print was something else, or nothing. */
  Schema.Struct({
    kind: Schema.Literal("trade_correction"),
    ...common,
    symbol: Schema.String,
    price: Schema.optionalKey(Schema.String),
    size: Schema.optionalKey(Schema.String),
  }),
  Schema.Struct({ kind: Schema.Literal("trade_cancel"), ...common, symbol: Schema.String }),
  Schema.Struct({ kind: Schema.Literal("imbalance"), ...common, symbol: Schema.String }),
  /** The exchanges are in this phase for `ms`, whatever the calendar says. */
  Schema.Struct({
    kind: Schema.Literal("session"),
    ...common,
    phase: Schema.Literals(["closed", "overnight", "pre", "core", "post"]),
    ms: Millis,
  }),
  /** The next order is accepted, and rejected on its way to the market. */
  Schema.Struct({ kind: Schema.Literal("reject_later"), ...common }),
  /** Cancels are accepted and do not finish, for `ms` or for ever. */
  Schema.Struct({
    kind: Schema.Literal("stuck_cancels"),
    ...common,
    ms: Schema.optionalKey(Millis),
  }),
  /** One of the account's fills had another price, or never was. */
  Schema.Struct({
    kind: Schema.Literal("fill_correction"),
    ...common,
    executionId: Schema.String,
    price: Schema.String,
  }),
  Schema.Struct({ kind: Schema.Literal("fill_bust"), ...common, executionId: Schema.String }),
  /** Today ends in `ms`. */
  Schema.Struct({ kind: Schema.Literal("early_close"), ...common, ms: Millis }),
])
export type VenueFault = typeof VenueFault.Type

export const Fault = Schema.Union([
  RequestFault,
  UpgradeFault,
  LoginFault,
  FrameFault,
  ConnectionFault,
  VenueFault,
])
export type Fault = typeof Fault.Type
