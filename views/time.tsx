/**
 * Times that go on counting in the browser.
 *
 * The server writes the moment, the page's script the age, so nothing is sent again only because
 * time has passed, and an age keeps growing while the connection is lost. A morph leaves the text
 * alone; without script it is the time of day, which stays true.
 */
import type { FC } from "hono/jsx"
import { clock, iso } from "./format.ts"

interface Props {
  /** Epoch milliseconds. */
  readonly at: number
  /** `ago`: "12 s ago". `age`: "0.4 s". `up`: "3 h 7 m". `in`: "4 s", counting down. */
  readonly as?: "ago" | "age" | "up" | "in"
}

export const Elapsed: FC<Props> = ({ at, as = "ago" }) => (
  <time datetime={iso(at)} data-elapsed={as} hx-morph-skip-children>{clock(at)}</time>
)

export const Clock: FC<{ at: number }> = ({ at }) => <time datetime={iso(at)}>{clock(at)}</time>
