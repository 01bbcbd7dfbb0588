/**
 * What the doctor finds, in words: what is wrong, and what to do about it.
 *
 * Every failure that an adapter knows has one translation here, so that the same trouble always
 * reads the same. Pure: it looks at nothing itself.
 */
import type { VenueFailure } from "./venues/market_data.ts"
import { describe } from "./venues/market_data.ts"

export interface Finding {
  readonly level: "ok" | "warn" | "FAIL"
  /** `binance clock`, `data folder`. */
  readonly what: string
  /** What is so, or what is wrong. */
  readonly says: string
  /** What to do; empty when there is nothing to do. */
  readonly remedy: string
}

export interface Trouble {
  readonly says: string
  readonly remedy: string
}

export function ok(what: string, says: string): Finding {
  return { level: "ok", what, says, remedy: "" }
}

export function warn(what: string, { says, remedy }: Trouble): Finding {
  return { level: "warn", what, says, remedy }
}

export function fail(what: string, { says, remedy }: Trouble): Finding {
  return { level: "FAIL", what, says, remedy }
}

/** One line: `FAIL  binance keys  — ...; ...`. */
export function lineOf({ level, what, says, remedy }: Finding): string {
  const text = remedy === "" ? says : `${says}; ${remedy}`
  return `${level.padEnd(4)}  ${what}  — ${text.replaceAll(/\s+/g, " ")}`
}

/** How a venue calls things. */
export interface Names {
  /** `Binance`. */
  readonly venue: string
  /** Of the section in `keel.json`: `binance`. */
  readonly section: string
  readonly host: string
  readonly keys: string
  readonly secret: string
  /** Where keys are made. */
  readonly keyPage: string
}

/** What a failed question to a venue means. */
export function troubleOf(failure: VenueFailure, names: Names): Trouble {
  switch (failure._tag) {
    case "Unreachable":
      return unreachable(failure.detail, names)
    case "Forbidden":
      return forbidden(failure.detail, names)
    case "Throttled":
      return {
        says: `${names.venue} wants to hear nothing from this address for ` +
          `${Math.ceil(failure.retryAfterMs / 1_000)} s (HTTP ${failure.status})`,
        remedy: "stop every program that asks it from here until then, and look for the one that " +
          "asks too often",
      }
    case "Silent":
      return {
        says: `${names.host} accepts connections and then says nothing for ${failure.afterMs} ms`,
        remedy: "check a firewall or proxy in between, then the venue's status page",
      }
    case "SlotBusy":
      return {
        says: `another session holds the only connection (${failure.detail})`,
        remedy: "if no Keel runs with these keys, wait 90 seconds and try again",
      }
    case "Faulty":
      return faulty(failure.detail, names)
    case "Closed":
    case "Announced":
    case "Overrun":
      return { says: describe(failure), remedy: "try again, then see the venue's status page" }
  }
}

function unreachable(detail: string, { host, section, venue }: Names): Trouble {
  if (/NotCapable|Requires net access/i.test(detail)) {
    return {
      says: `Deno may not reach ${host}`,
      remedy: `add it to --allow-net, or remove the URLs of ${section} from keel.json`,
    }
  }
  if (/dns|lookup|resolve|ENOTFOUND|EAI_AGAIN/i.test(detail)) {
    return {
      says: `the name ${host} cannot be resolved`,
      remedy: "check the network and the DNS of this machine, and the URL in keel.json",
    }
  }
  if (/refused/i.test(detail)) {
    return {
      says: `nobody answers at ${host}: connection refused`,
      remedy: `check the URLs of ${section} in keel.json, and a firewall or proxy in between`,
    }
  }
  if (/certificate|issuer|tls|ssl/i.test(detail)) {
    return {
      says: `the connection to ${host} cannot be trusted (${detail})`,
      remedy: "set the clock of this machine; if a proxy opens TLS, give its certificate to Deno " +
        "with DENO_CERT",
    }
  }
  return {
    says: `${venue} cannot be reached at ${host} (${detail})`,
    remedy: "check the network of this machine, and a firewall or proxy in between",
  }
}

function forbidden(detail: string, names: Names): Trouble {
  const { host, keyPage, keys, secret, section, venue } = names
  if (detail.includes("HTTP 451")) {
    return {
      says: `${venue} does not serve this region from ${host} (HTTP 451)`,
      remedy: `trying again cannot help: set the URLs of ${section} in keel.json to a host that ` +
        "may serve you, or leave the venue out",
    }
  }
  if (detail.includes("HTTP 403")) {
    return {
      says: `the firewall of ${venue} turns this address away (HTTP 403)`,
      remedy: "stop every program that asks it from here for some minutes; a VPN or a shared " +
        "address may be the reason",
    }
  }
  if (detail.includes("private key")) {
    return { says: detail, remedy: "name the file that holds the key's private half" }
  }
  if (detail.startsWith("-2014")) {
    return {
      says: `${keys} is not in the format of a key (-2014)`,
      remedy: "copy it again, without quotes or blanks",
    }
  }
  if (detail.startsWith("-1022")) {
    return {
      says: `the signature is not valid (-1022): ${secret} does not belong to ${keys}`,
      remedy: "copy both again, from the same key",
    }
  }
  if (detail.startsWith("-2015")) {
    return {
      says: `${venue} does not take ${keys} (-2015): it is unknown, expired or revoked, not ` +
        "allowed from this address, or without permission to read",
      remedy: `look it up at ${keyPage}: its date, its addresses, its permissions; else make a ` +
        "new one there, of the same system as the host",
    }
  }
  if (detail.includes("may not trade")) {
    return {
      says: `the key of ${keys} may not trade`,
      remedy: `allow it to trade at ${keyPage}; it never needs to withdraw`,
    }
  }
  if (/^40[13] /.test(detail)) {
    return {
      says: `${venue} does not take ${keys} with ${secret} (HTTP ${detail.slice(0, 3)}): wrong, ` +
        "revoked, or of the other system (paper, live)",
      remedy: `make new ones at ${keyPage}, for the system that the host belongs to`,
    }
  }
  return { says: detail, remedy: `sign in at ${keyPage}: the account's page says what it lacks` }
}

function faulty(detail: string, { section, venue }: Names): Trouble {
  if (detail.includes("-1021")) {
    return {
      says: `${venue} does not take the time of our requests (${detail})`,
      remedy: "set the clock of this machine, and keep it set with NTP",
    }
  }
  if (detail.includes("-1121") || /no trading rules|not known|not found/i.test(detail)) {
    return {
      says: `${venue} does not know an instrument (${detail})`,
      remedy: `correct the instruments of ${section} in keel.json`,
    }
  }
  if (/HTTP 5\d\d/.test(detail)) {
    return { says: `${venue} has trouble of its own (${detail})`, remedy: "see its status page" }
  }
  return {
    says: detail,
    remedy: `check that the URLs of ${section} in keel.json are those of ${venue}`,
  }
}

const SKEW_WARN_MS = 500
const SKEW_FAIL_MS = 5_000

/** `offsetMs` is the venue's clock minus ours. */
export function clockFinding(what: string, venue: string, offsetMs: number): Finding {
  const off = Math.abs(offsetMs)
  const says = `the clock of this machine is ${off} ms ${
    offsetMs > 0 ? "behind" : "ahead of"
  } ${venue}`
  if (off < SKEW_WARN_MS) return ok(what, says)
  const remedy = "set it, and keep it set with NTP (Linux: timedatectl set-ntp true); Keel signs " +
    "with the venue's time, but bars and ages would be wrong"
  return off < SKEW_FAIL_MS ? warn(what, { says, remedy }) : fail(what, { says, remedy })
}

const FREE_WARN_BYTES = 1_000_000_000
const FREE_FAIL_BYTES = 100_000_000

export function spaceFinding(what: string, freeBytes: number): Finding {
  const says = `${(freeBytes / 1e9).toFixed(1)} GB are free`
  if (freeBytes >= FREE_WARN_BYTES) return ok(what, says)
  const remedy = "free some space, or choose another folder with --data; without space for the " +
    "journal nothing is traded"
  return freeBytes >= FREE_FAIL_BYTES ? warn(what, { says, remedy }) : fail(what, { says, remedy })
}
