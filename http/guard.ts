/**
 * What every request and answer must carry before anything else looks at it.
 *
 * A browser will send anything to loopback on behalf of any page: so a request must use a name of
 * ours (or a rebound DNS name would be "same origin"), and whoever changes something must come
 * from our own page. Programs send neither header and pass.
 */
import type { Context, MiddlewareHandler } from "hono"

const CONTENT_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; " +
  "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; " +
  "frame-ancestors 'none'"

const SAFE_METHODS = ["GET", "HEAD", "OPTIONS"]

export function ownPagesOnly(hostnames: ReadonlySet<string>): MiddlewareHandler {
  return (c, next) => {
    if (!hostnames.has(new URL(c.req.url).hostname)) {
      return Promise.resolve(c.text("This server does not answer to that host name", 421))
    }
    return SAFE_METHODS.includes(c.req.method) || isOurs(c)
      ? next()
      : Promise.resolve(c.text("Sent by another site", 403))
  }
}

/** Browsers send one of the two headers with every POST; scripts send neither. */
function isOurs(c: Context): boolean {
  const site = c.req.header("sec-fetch-site")
  if (site !== undefined) return site === "same-origin"
  const origin = c.req.header("origin")
  return origin === undefined || URL.parse(origin)?.host === c.req.header("host")
}

export function safeAnswers(): MiddlewareHandler {
  return async (c, next) => {
    await next()
    const { headers } = c.res
    headers.set("content-security-policy", CONTENT_POLICY)
    headers.set("x-content-type-options", "nosniff")
    headers.set("x-frame-options", "DENY")
    headers.set("referrer-policy", "no-referrer")
    headers.set("cross-origin-opener-policy", "same-origin")
    headers.set("cross-origin-resource-policy", "same-origin")
    headers.set("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=()")
    if (!headers.has("cache-control")) headers.set("cache-control", "no-store")
  }
}
