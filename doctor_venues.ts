/**
 * Asks each configured venue what `start` would ask, one thing after the other, through the same
 * adapters: is it there, what time is it there, does it take our keys, does it know our
 * instruments, do its streams flow. It places no order, and it stops asking at the first answer
 * after which the others would say the same.
 */
import { Effect, Fiber, Redacted, Result } from "effect"
import { adapters as alpacaAdapters, urlsOf as alpacaUrls } from "./assembly/alpaca.ts"
import { adapters as binanceAdapters, testnet, urlsOf as binanceUrls } from "./assembly/binance.ts"
import { newTraffic } from "./assembly/venue.ts"
import type { AlpacaConfig, BinanceConfig, Config, VenueConfig } from "./config.ts"
import {
  clockFinding,
  fail,
  type Finding,
  type Names,
  ok,
  troubleOf,
  warn,
} from "./doctor_findings.ts"
import { type KeyPair, type SecretSource, venueKeys, type VenueName } from "./keys.ts"
import { banFile } from "./storage/ban_file.ts"
import { venueError } from "./venues/binance/rest.ts"
import type { Broker } from "./venues/broker.ts"
import type { BanStore } from "./venues/governor.ts"
import {
  type MarketData,
  Unreachable,
  type VenueError,
  type VenueFailure,
} from "./venues/market_data.ts"
import { causeText } from "./venues/socket.ts"

/** A venue, opened as far as it can be without asking it. */
interface Patient {
  readonly names: Names
  readonly config: VenueConfig
  readonly market: MarketData
  readonly broker: Broker
  readonly url: string
  readonly privateUrl: string
  readonly marketUrl: string
  /** Whether it answers at all, without keys where it can be asked so; its clock minus ours. */
  readonly reach: Effect.Effect<number, VenueError>
}

const STREAM_OPENS_WITHIN_MS = 10_000
/** A stream that has not ended by then flows, or its market is quiet. */
const MARKET_LOOK_MS = 2_000
const PLAIN_LOOK_MS = 5_000

/** Everything about one venue, in the order in which one thing needs the other. */
export const examineVenue = Effect.fn("doctor.venue")(function* (
  name: VenueName,
  config: Config,
  folder: string,
  source: SecretSource,
) {
  if (config.mode === "sim") {
    return [ok(name, "simulated inside Keel: it needs no keys and no network")]
  }
  // Refused, and so never asked.
  if (config.mode === "live") return []
  const section = config.venues[name]
  if (section === undefined) return []
  const bans = banFile(`${folder}/bans.${name}.json`)
  const banned = yield* bannedUntil(bans)
  if (banned !== undefined) return [banFinding(name, banned)]
  const keys = venueKeys({ ...config, venues: { [name]: section } }, source)
  if (Result.isFailure(keys)) {
    const isAlone = Object.keys(config.venues).length === 1
    const trouble = { says: keys.failure.message, remedy: "" }
    // Without its keys a venue that nobody insists on does not run, and the others do.
    const isAbsent = !section.isRequired && !isAlone && hasNone(name, source)
    return [isAbsent ? warn(`${name} keys`, trouble) : fail(`${name} keys`, trouble)]
  }
  const pair = keys.success[name]
  if (pair === undefined) return []
  const format = formatFinding(name, pair)
  const { alpaca: onAlpaca, binance: onBinance } = config.venues
  const patient = name === "binance"
    ? onBinance && (yield* binance(onBinance, pair, bans))
    : onAlpaca && (yield* alpaca(onAlpaca, pair, bans))
  const found = patient === undefined ? [] : yield* examine(patient)
  return [...(format === undefined ? [] : [format]), ...found]
})

const examine = Effect.fnUntraced(function* (patient: Patient) {
  const { broker, config, market, names } = patient
  const { host, section, venue } = names
  const at = (url: string): Names => ({ ...names, host: new URL(url).host })
  const findings: Array<Finding> = []
  const reached = yield* Effect.result(patient.reach)
  if (Result.isFailure(reached)) {
    const reason = yield* clearer(reached.failure.reason, patient.url)
    // Who is refused by name has been reached.
    const isKeys = reason._tag === "Forbidden" && !/HTTP 4(?:03|51)/.test(reason.detail)
    if (isKeys) findings.push(ok(`${section} host`, `${host} answers`))
    const what = isKeys ? `${section} keys` : `${section} host`
    return [...findings, fail(what, troubleOf(reason, names))]
  }
  findings.push(ok(`${section} host`, `${host} answers`))
  findings.push(clockFinding(`${section} clock`, venue, reached.success))

  const introduced = yield* Effect.result(broker.connect)
  if (Result.isFailure(introduced)) {
    return [...findings, fail(`${section} keys`, troubleOf(introduced.failure.reason, names))]
  }
  findings.push(ok(`${section} keys`, `${venue} takes them, and they may trade`))
  findings.push(...yield* instruments(market, config, names))
  findings.push(yield* privateStream(broker, at(patient.privateUrl)))
  findings.push(yield* marketStream(market, config, at(patient.marketUrl)))
  return findings
})

/** A package may swallow why a host cannot be reached: then it is asked once more, plainly. */
const clearer = Effect.fnUntraced(function* (reason: VenueFailure, url: string) {
  if (reason._tag !== "Unreachable") return reason
  const why = yield* Effect.promise(async (signal) => {
    try {
      await (await fetch(url, { method: "HEAD", signal })).body?.cancel()
      return ""
    } catch (error) {
      return causeText(deepest(error))
    }
  }).pipe(Effect.timeoutOrElse({ duration: PLAIN_LOOK_MS, orElse: () => Effect.succeed("") }))
  return new Unreachable({ detail: why === "" ? reason.detail : why.slice(0, 200) })
})

/** `fetch failed` is only what it is called. */
function deepest(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? deepest(error.cause) : error
}

/** One question for all; when that fails, one by one, because the answer names none. */
const instruments = Effect.fnUntraced(function* (
  market: MarketData,
  config: VenueConfig,
  names: Names,
) {
  const what = `${names.section} instruments`
  const all = yield* Effect.result(market.instruments(config.instruments))
  if (Result.isFailure(all)) {
    const { reason } = all.failure
    if (reason._tag !== "Faulty") return [fail(what, troubleOf(reason, names))]
    const each = yield* Effect.forEach(
      config.instruments,
      (id) => Effect.map(Effect.result(market.instruments([id])), (answer) => ({ id, answer })),
    )
    const unknown = each.flatMap(({ id, answer }) => Result.isFailure(answer) ? [id] : [])
    if (unknown.length === 0) return [fail(what, troubleOf(reason, names))]
    const says = `${names.venue} does not trade ${unknown.join(", ")}`
    const remedy = `correct the instruments of ${names.section} in keel.json`
    return [fail(what, { says, remedy })]
  }
  const found = all.success
  const missing = config.instruments.filter((id) => found.every((each) => each.id !== id))
  if (missing.length > 0) {
    const says = `${names.venue} does not trade ${missing.join(", ")}`
    const remedy = `correct the instruments of ${names.section} in keel.json`
    return [fail(what, { says, remedy })]
  }
  const stopped = found.filter(({ status }) => status !== "trading")
  if (stopped.length === 0) return [ok(what, `all ${found.length} are traded`)]
  const says = stopped.map(({ id, status }) => `${id} is ${status}`).join(", ")
  return [warn(what, { says, remedy: "nothing is opened in them until that ends" })]
})

const privateStream = Effect.fnUntraced(function* (broker: Broker, names: Names) {
  const what = `${names.section} private stream`
  let isUp = false
  const stream = broker.stream({
    event: ({ _tag }) => void (isUp ||= _tag === "StreamUp"),
    undecoded: () => {},
  })
  const ended = yield* endOf(stream, () => isUp, STREAM_OPENS_WITHIN_MS)
  if (ended !== undefined) return streamFinding(what, ended, names)
  if (isUp) return ok(what, "it takes the subscription")
  const says = `nothing was heard of the subscription for ${STREAM_OPENS_WITHIN_MS} ms`
  return fail(what, { says, remedy: "check a firewall or proxy that stops WebSockets" })
})

const marketStream = Effect.fnUntraced(function* (
  market: MarketData,
  config: VenueConfig,
  names: Names,
) {
  const what = `${names.section} market stream`
  let events = 0
  const stream = market.stream(config.instruments, {
    event: () => ++events > 0,
    undecoded: () => {},
  })
  const ended = yield* endOf(stream, () => events > 0, MARKET_LOOK_MS)
  if (ended !== undefined) return streamFinding(what, ended, names)
  return ok(what, events > 0 ? "prices arrive" : "it is open, and its market quiet")
})

/** That somebody holds the only place is no fault while that is Keel itself. */
function streamFinding(what: string, { reason }: VenueError, names: Names): Finding {
  const trouble = troubleOf(reason, names)
  return reason._tag === "SlotBusy" ? warn(what, trouble) : fail(what, trouble)
}

/** Runs a stream until it ends, until `isEnough`, or for so long. */
const endOf = Effect.fnUntraced(function* (
  stream: Effect.Effect<never, VenueError>,
  isEnough: () => boolean,
  forMs: number,
) {
  const fiber = yield* Effect.forkChild(Effect.flip(stream))
  for (let waited = 0; waited < forMs && !isEnough(); waited += 50) {
    yield* Effect.sleep(50)
    if (fiber.pollUnsafe() !== undefined) return yield* Fiber.join(fiber)
  }
  yield* Fiber.interrupt(fiber)
  return undefined
})

const binance = Effect.fnUntraced(function* (
  config: BinanceConfig,
  keys: KeyPair,
  bans: BanStore,
): Effect.fn.Return<Patient> {
  const urls = binanceUrls(config)
  const { broker, market, rest } = yield* binanceAdapters(config, keys, urls, bans, newTraffic())
  return {
    names: {
      ...{ venue: "Binance", section: "binance", host: new URL(urls.rest).host },
      ...{ keys: "BINANCE_API_KEY", secret: "BINANCE_API_SECRET" },
      keyPage: urls.rest === testnet.rest ? "testnet.binance.vision" : "Binance's API Management",
    },
    ...{ config, market, broker },
    ...{ url: urls.rest, marketUrl: urls.stream, privateUrl: urls.wsApi },
    reach: Effect.mapError(rest.syncClock, venueError("GET /api/v3/time")),
  }
})

const alpaca = Effect.fnUntraced(function* (
  config: AlpacaConfig,
  keys: KeyPair,
  bans: BanStore,
): Effect.fn.Return<Patient> {
  const urls = alpacaUrls(config)
  const { broker, market } = yield* alpacaAdapters(config, keys, urls, bans)
  return {
    names: {
      ...{ venue: "Alpaca", section: "alpaca", host: new URL(urls.trading).host },
      ...{ keys: "APCA_API_KEY_ID", secret: "APCA_API_SECRET_KEY" },
      keyPage: "app.alpaca.markets, under API Keys",
    },
    ...{ config, market, broker },
    ...{ url: urls.trading, marketUrl: urls.dataStream, privateUrl: urls.tradingStream },
    // Nothing can be asked without keys: its clock comes with the account.
    reach: Effect.map(broker.connect, ({ clockOffsetMs }) => clockOffsetMs),
  }
})

const bannedUntil = Effect.fnUntraced(function* (bans: BanStore) {
  const known = yield* Effect.orElseSucceed(bans.load, () => [])
  const until = Math.max(0, ...known.map(({ untilMs }) => untilMs))
  return until > Date.now() ? until : undefined
})

function banFinding(name: VenueName, until: number): Finding {
  return fail(`${name} limits`, {
    says: `it has banned this address until ${new Date(until).toISOString()}, and was not asked`,
    remedy:
      "stop every program that asks it from here until then, and look for the one that asks " +
      "too often",
  })
}

const variables: Readonly<Record<VenueName, ReadonlyArray<string>>> = {
  binance: ["BINANCE_API_KEY", "BINANCE_API_SECRET", "BINANCE_PRIVATE_KEY_FILE"],
  alpaca: ["APCA_API_KEY_ID", "APCA_API_SECRET_KEY"],
}

function hasNone(name: VenueName, { variable }: SecretSource): boolean {
  return variables[name].every((each) => !variable(each)?.trim())
}

/** What shows without asking anybody. */
function formatFinding(name: VenueName, { key, secret }: KeyPair): Finding | undefined {
  const [keyText, secretText] = [Redacted.value(key), Redacted.value(secret)]
  const isPem = secretText.includes("PRIVATE KEY")
  const [keyName, secretName] = variables[name]
  const odd = [
    ...(/^[A-Za-z0-9_-]{1,128}$/.test(keyText) ? [] : [keyName]),
    ...(isPem || /^[A-Za-z0-9_+/=-]{1,128}$/.test(secretText) ? [] : [secretName]),
  ]
  const remedy = "copy it again, without quotes, blanks or line ends"
  if (odd.length > 0) {
    const says = `${odd.join(" and ")} holds characters that no key has`
    return fail(`${name} key format`, { says, remedy })
  }
  if (name === "alpaca" && keyText.startsWith("AK")) {
    return fail("alpaca key format", {
      says: "APCA_API_KEY_ID is a key of live trading, and mode paper asks the paper system",
      remedy: "use a key of the paper account: it begins with PK",
    })
  }
  return undefined
}
