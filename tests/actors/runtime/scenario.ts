/**
 * Plays the scenarios in which OTP's supervisor was recorded on our runtime, and
 * records the same words in the same order.
 */
import { Effect, Exit, Fiber, Scope } from "effect"
import {
  actorName,
  type ActorSystem,
  behavior,
  type ChildSpec,
  type Dispatcher,
  start,
  type StartError,
  stop,
  supervisor,
  type SupervisorSpec,
} from "../../../actors/runtime/mod.ts"
import { settled, type World } from "./world.ts"

export interface Flags {
  readonly strategy: "one_for_one" | "one_for_all" | "rest_for_one" | "simple_one_for_one"
  readonly intensity: number
  readonly autoShutdown?: "any_significant" | "all_significant"
}
export interface Child {
  readonly id: string
  readonly restart?: "permanent" | "transient" | "temporary"
  readonly shutdown?: number | "brutal_kill"
  readonly significant?: boolean
  readonly startFails?: ReadonlyArray<number>
  readonly stopTakesMs?: number
  readonly supervisor?: Flags
  readonly children?: ReadonlyArray<Child>
}
export interface Scenario {
  readonly supervisor: Flags
  readonly children: ReadonlyArray<Child>
  readonly actions: ReadonlyArray<string>
}
export interface Outcome {
  readonly boot: ReadonlyArray<string>
  readonly trace?: ReadonlyArray<string>
  readonly startError?: { readonly child: string; readonly reason: string }
  readonly supervisorExit?: string
  readonly running?: Readonly<Record<string, string>>
  readonly close?: ReadonlyArray<string>
  readonly closeInAnyOrder?: ReadonlyArray<string>
}

const NO_BACKOFF = { baseMs: 0, capMs: 0, resetAfterMs: 0 }

type Order = "crash" | { readonly exit: string }

/** `periodMs` is 1 s in the recorded scenarios. */
export const play = (scenario: Scenario, world: World, periodMs = 1_000): Promise<Outcome> =>
  world.run(new Player(scenario, world.dispatcher, periodMs).play())

class Player {
  private events: Array<string> = []
  private readonly paths = new Map<string, string>()
  private readonly starts = new Map<string, number>()

  constructor(
    private readonly scenario: Scenario,
    private readonly dispatcher: Dispatcher,
    private readonly periodMs: number,
  ) {}

  readonly play = Effect.fnUntraced(function* (this: Player): Effect.fn.Return<Outcome> {
    const scope = yield* Scope.make()
    const booting = yield* Effect.result(Scope.provide(
      start(this.supervisor("root", this.scenario.supervisor, this.scenario.children, "root"), {
        dispatcher: this.dispatcher,
        onReport: ({ kind, path }) => {
          const at = path.lastIndexOf("/")
          if (kind === "starting" && at > 0) this.events.push(`start ${path.slice(at + 1)}`)
        },
      }),
      scope,
    ))
    const boot = this.take()
    if (booting._tag === "Failure") {
      yield* Scope.close(scope, Exit.void)
      return { boot, startError: startError(booting.failure) }
    }
    const system = booting.success
    let over = false
    const watch = yield* Effect.forkDetach(
      Effect.andThen(system.ended, Effect.sync(() => void (over = true))),
    )
    for (const action of this.scenario.actions) {
      if (over) break
      yield* this.act(action, system)
      yield* settled(system)
    }
    const trace = this.take()
    yield* Effect.sleep(1)
    const escalated = over
    const running = Object.fromEntries(
      system.tree().children.map((
        { name, status },
      ) => [name, status === "running" ? "up" : "stopped"]),
    )
    yield* Scope.close(scope, Exit.void)
    yield* Fiber.await(watch)
    const close = this.take()
    if (escalated) return { boot, trace, supervisorExit: "shutdown" }
    return this.scenario.supervisor.strategy === "simple_one_for_one"
      ? { boot, trace, running, closeInAnyOrder: close.toSorted() }
      : { boot, trace, running, close }
  })

  private take(): Array<string> {
    const events = this.events
    this.events = []
    return events
  }

  private act(action: string, system: ActorSystem): Effect.Effect<unknown> {
    const [verb = "", subject = "", argument = ""] = action.split(" ")
    switch (verb) {
      case "wait":
        return Effect.sleep(Number(subject))
      case "crash":
        return Effect.sync(() => system.ref(actorName<Order>(subject)).send("crash"))
      case "exit":
        return Effect.sync(() => system.ref(actorName<Order>(subject)).send({ exit: argument }))
      case "crash_together":
        // On one stack: no turn for the supervisor in between.
        return Effect.sync(() => {
          for (const id of subject.split("+")) {
            if (system.crash(this.paths.get(id) ?? "", "boom")) this.events.push(`crash ${id}`)
          }
        })
      case "start_dynamic":
        return Effect.orDie(system.startChild("root", this.actor({ id: subject }, "root")))
      default:
        return this.manage(verb, subject, system)
    }
  }

  private readonly manage = Effect.fnUntraced(
    function* (this: Player, verb: string, id: string, system: ActorSystem) {
      const result = yield* Effect.result(this.call(verb, id, system))
      const failure = result._tag === "Failure" ? result.failure : undefined
      const answer = failure === undefined
        ? "ok"
        : failure.reason === "start_failed"
        ? "refused"
        : failure.reason
      this.events.push(`reply ${verb} ${id} ${answer}`)
    },
  )

  private call(verb: string, id: string, system: ActorSystem) {
    const path = `root/${id}`
    if (verb === "terminate_child") return system.terminateChild(path)
    if (verb === "delete_child") return system.deleteChild(path)
    if (verb === "restart_child") return system.restartChild(path, { ifRunning: "refuse" })
    if (verb !== "start_child") throw new Error(`no action ${verb}`)
    const spec = this.scenario.children.find((child) => child.id === id)!
    return system.startChild("root", this.child(spec, "root"))
  }

  private supervisor(
    name: string,
    flags: Flags,
    children: ReadonlyArray<Child>,
    path: string,
    restart: Child["restart"] = "permanent",
  ): SupervisorSpec {
    return supervisor({
      name,
      strategy: flags.strategy === "simple_one_for_one" ? "one_for_one" : flags.strategy,
      intensity: flags.intensity,
      periodMs: this.periodMs,
      autoShutdown: flags.autoShutdown ?? "never",
      restart,
      backoff: NO_BACKOFF,
      children: children.map((child) => this.child(child, path)),
    })
  }

  private child(child: Child, parentPath: string): ChildSpec {
    return child.supervisor === undefined ? this.actor(child, parentPath) : this.supervisor(
      child.id,
      child.supervisor,
      child.children ?? [],
      `${parentPath}/${child.id}`,
      child.restart,
    )
  }

  private actor(child: Child, parentPath: string): ChildSpec {
    const { id, stopTakesMs = 0, startFails = [] } = child
    this.paths.set(id, `${parentPath}/${id}`)
    return behavior<{ leaving: boolean }, Order>({
      name: id,
      mailbox: { capacity: 10, overflow: "reject" },
      restart: child.restart ?? "permanent",
      shutdownMs: child.shutdown ?? 200,
      significant: child.significant ?? false,
      backoff: NO_BACKOFF,
      init: () => {
        const start = (this.starts.get(id) ?? 0) + 1
        this.starts.set(id, start)
        if (startFails.includes(start)) {
          this.events.push(`start_failed ${id}`)
          return Effect.fail("refused")
        }
        this.events.push(`start ${id}`)
        return { leaving: false }
      },
      receive: (state, order) => {
        if (order === "crash") {
          this.events.push(`crash ${id}`)
          throw new Error("boom")
        }
        this.events.push(`exit ${id} ${order.exit}`)
        state.leaving = true
        return stop(order.exit)
      },
      terminate: (state, reason) => {
        if (reason.kind !== "shutdown" || state.leaving) return
        const told = Effect.sync(() => void this.events.push(`stop ${id} shutdown`))
        return stopTakesMs === 0 ? told : Effect.andThen(Effect.sleep(stopTakesMs), told)
      },
    })
  }
}

function startError({ path, cause }: StartError) {
  const why = cause.reasons.find((reason) => reason._tag === "Fail")
  return { child: path.slice(path.lastIndexOf("/") + 1), reason: String(why?.error) }
}
