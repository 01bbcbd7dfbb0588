/** The server inside the tree, and what it may know and ask of the rest. */
import { Effect } from "effect"
import { Journal } from "../actors/journal.ts"
import { prometheusText } from "../actors/metrics.ts"
import { Operator } from "../actors/names.ts"
import { type ReadModel, recordView } from "../actors/read_model.ts"
import { type ActorSystem, ask, AskError, behavior, type ReplyTo } from "../actors/runtime/mod.ts"
import type { StartOptions } from "../cli.ts"
import type { Config } from "../config.ts"
import { type CommandReceipt, CommandRefused } from "../domain/command.ts"
import type { JournalRecord } from "../domain/event.ts"
import { makeApp } from "../http/app.tsx"
import type { HttpDeps } from "../http/ports.ts"
import { serve } from "../http/server.ts"
import { limits } from "../limits.ts"
import { strategies } from "../strategies/mod.ts"

/** Known only once the tree stands, needed by the server inside it. */
export class Edge {
  system: ActorSystem | undefined
  url = ""
}

export function httpActor(
  edge: Edge,
  options: StartOptions,
  config: Config,
  model: ReadModel,
  now: () => number,
) {
  // After a restart of the server alone browsers must find it where it was.
  let port = options.port
  return behavior<null, never>({
    name: "http",
    restart: "permanent",
    mailbox: { capacity: 1, overflow: "reject" },
    backoff: limits.restart.backoff,
    init: Effect.fnUntraced(function* () {
      const hostnames = new Set(["localhost", "127.0.0.1", "[::1]", ...config.server.hostnames])
      const app = makeApp(httpDeps(edge, model, hostnames, now))
      const server = yield* serve(app, { hostname: options.host, port })
      port = server.port
      edge.url = server.url
      return null
    }),
    receive: (state) => state,
  })
}

function httpDeps(
  edge: Edge,
  model: ReadModel,
  hostnames: ReadonlySet<string>,
  now: () => number,
): HttpDeps {
  return {
    overview: model.overview,
    onChange: model.onChange,
    onRecord: model.onRecord,
    readRecords: (after, limit) => readRecords(edge, after, limit),
    series: model.series,
    instruments: () => model.options.instruments.map(({ id }) => id),
    submit: (command) =>
      Effect.runPromise(
        ask(
          systemOf(edge).ref(Operator),
          (reply: ReplyTo<CommandReceipt>) => ({ _tag: "Submit", command, reply }) as const,
          { timeoutMs: limits.account.reconcileTimeoutMs },
        ).pipe(Effect.mapError((error) =>
          error instanceof AskError && error.cause instanceof CommandRefused ? error.cause : error
        )),
      ),
    progress: (commandId) => model.progress(commandId),
    metrics: () => prometheusText(model.overview()),
    health: () => healthOf(model),
    orders: model.allOrders,
    fills: model.allFills,
    strategies: () =>
      [...strategies.values()].map(({ name, title, description, settings }) => ({
        name,
        title,
        description,
        params: settings,
      })),
    newId: () => crypto.randomUUID(),
    now,
    hostnames,
  }
}

function systemOf(edge: Edge): ActorSystem {
  if (edge.system === undefined) throw new Error("the runtime is still starting")
  return edge.system
}

function readRecords(edge: Edge, after: number, limit: number) {
  return Effect.runPromise(
    ask(
      systemOf(edge).ref(Journal),
      (reply: ReplyTo<ReadonlyArray<JournalRecord>>) =>
        ({ _tag: "Read", after, limit, reply }) as const,
      { timeoutMs: limits.account.reconcileTimeoutMs },
    ).pipe(Effect.map((records) => records.map(recordView))),
  )
}

function healthOf(model: ReadModel): ReturnType<HttpDeps["health"]> {
  const { accounts, feeds, actors } = model.overview()
  const reasons = [
    ...accounts.filter(({ status }) => status !== "ready").map(({ venue, status }) =>
      `account ${venue} is ${status}`
    ),
    ...feeds.filter(({ status }) => status !== "streaming").map(({ venue, status }) =>
      `feed ${venue} is ${status}`
    ),
    ...(feeds.length === 0 ? ["no feed has reported yet"] : []),
  ]
  const live = actors.some(({ path, status }) => path === "root" && status === "running")
  return { live, ready: live && reasons.length === 0, reasons }
}
