/**
 * Keel among the others: a process of its own, seen from outside only.
 *
 * It has noticed when its journal says that prices are not live any more, which is after that has
 * been written down; for one mute instrument, when its state shows the price as stale.
 */
import { startKeel, temporaryFolder } from "../../tests/e2e/process.ts"
import type { Session } from "./clients.ts"

/** What is read of `GET /api/v1/state`. */
interface State {
  readonly feeds: ReadonlyArray<{
    readonly venue: string
    readonly status: string
    readonly instruments: ReadonlyArray<{
      readonly instrument: string
      readonly fresh: boolean
      readonly ageMs: number | null
      readonly trades: number
      readonly lastTradeId: string | null
    }>
  }>
}

/** Trades counted so far, and the last one's id. */
export interface Progress {
  readonly trades: number
  readonly lastTradeId: string | null
}

export interface KeelSession extends Session {
  readonly progress: () => Promise<Progress>
}

const LOOK_EVERY_MS = 20

export async function openKeel(
  config: unknown,
  env: Readonly<Record<string, string>>,
  watched: { readonly venue: string; readonly instrument: string; readonly isOneMute: boolean },
): Promise<KeelSession> {
  await using starting = new AsyncDisposableStack()
  const folder = starting.use(await temporaryFolder())
  const file = `${folder.path}/keel.json`
  await Deno.writeTextFile(file, JSON.stringify(config))
  const { keel, url } = await startKeel(["--data", `${folder.path}/data`, "--config", file], {
    ...env,
    KEEL_LOG: "error",
  })
  starting.use(keel)
  const resources = starting.move()
  const line = async () => {
    const state: State = await (await fetch(`${url}/api/v1/state`)).json()
    const feed = state.feeds.find(({ venue }) => venue === watched.venue)
    const instrument = feed?.instruments.find(({ instrument }) => instrument === watched.instrument)
    return { feed, instrument }
  }
  let noticedAt: number | undefined
  let heardAt: number | undefined
  let isOpen = true
  const watch = async () => {
    while (isOpen) {
      try {
        const { feed, instrument } = await line()
        const isLive = watched.isOneMute ? instrument?.fresh : feed?.status === "streaming"
        const now = performance.now()
        if (isLive !== true) noticedAt = now
        else if (instrument?.fresh) heardAt = now - (instrument.ageMs ?? 0)
      } catch {
        // It is being stopped.
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
    }
  }
  const watching = watch()
  return {
    noticedAt: () => noticedAt,
    heardAt: () => heardAt,
    trades: () => new Set(),
    progress: async () => {
      const { instrument } = await line()
      return { trades: instrument?.trades ?? 0, lastTradeId: instrument?.lastTradeId ?? null }
    },
    close: async () => {
      isOpen = false
      await watching
      await resources.disposeAsync()
    },
  }
}
