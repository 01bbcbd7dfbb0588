/**
 * Plays the scenarios in which OTP's supervisor was recorded, on our runtime and
 * on virtual time, and records the same words in the same order.
 */
import { Effect, Exit, Scope } from "effect"
import {
  actorName,
  type ActorSystem,
  behavior,
  type ChildSpec,
  start,
  type StartError,
  stop,
  supervisor,
  type SupervisorSpec,
} from "../../../actors/runtime/mod.ts"
import { VirtualTime } from "../../../actors/runtime/virtual_time.ts"

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

const PERIOD_MS = 1_000
/** After an action OTP was given at least this long; longer than any silence inside a trace. */
const QUIET_MS = 110
const NO_BACKOFF = { baseMs: 0, capMs: 0, resetAfterMs: 0 }

type Order = "crash" | { readonly exit: string }

export function play(scenario: Scenario, seed?: number): Outcome {
  const time = new VirtualTime(seed === undefined ? {} : { seed })
  const player = new Player(scenario, time)
  return player.play()
}

class Player {
  private events: Array<string> = []
  private system: ActorSystem | undefined
  private readonly paths = new Map<string, string>()
  private readonly scope = Scope.makeUnsafe()

  constructor(private readonly scenario: Scenario, private readonly time: VirtualTime) {}

  play(): Outcome {
    const root = this.supervisor("root", this.scenario.supervisor, this.scenario.children, "root")
    const booting = this.run(Scope.provide(
      start(root, {
        dispatcher: this.time.dispatcher,
        onReport: ({ kind, path }) => {
          const at = path.lastIndexOf("/")
          if (kind === "starting" && at > 0) this.events.push(`start ${path.slice(at + 1)}`)
        },
      }),
      this.scope,
    ))
    const boot = this.take()
    if (Exit.isFailure(booting)) {
      return { boot, startError: startErrorOf(booting) }
    }
    const system = this.system = booting.value
    const ended = Effect.runFork(this.time.provide(system.ended))
    for (const action of this.scenario.actions) this.act(action)
    const trace = this.take()
    this.time.settle()
    const exit = ended.pollUnsafe()
    if (exit !== undefined) {
      this.run(Scope.close(this.scope, Exit.void))
      return { boot, trace, supervisorExit: "shutdown" }
    }
    const dynamic = this.scenario.supervisor.strategy === "simple_one_for_one"
    const running = Object.fromEntries(
      system.tree().children.map((
        { name, status },
      ) => [name, status === "running" ? "up" : "stopped"]),
    )
    this.run(Scope.close(this.scope, Exit.void))
    this.time.run(10_000)
    const close = this.take()
    return dynamic
      ? { boot, trace, running, closeInAnyOrder: close.toSorted() }
      : { boot, trace, running, close }
  }

  private take(): Array<string> {
    const events = this.events
    this.events = []
    return events
  }

  private run<A, E>(effect: Effect.Effect<A, E>): Exit.Exit<A, E> {
    const fiber = Effect.runFork(this.time.provide(effect))
    for (let i = 0; i < 1_000; i++) {
      this.time.settle()
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) return exit
      this.time.run(10)
    }
    throw new Error("does not end")
  }

  private act(action: string) {
    const [verb, subject = "", argument = ""] = action.split(" ")
    const system = this.system!
    switch (verb) {
      case "wait":
        this.time.run(Number(subject))
        return
      case "crash":
        system.ref(actorName<Order>(subject)).send("crash")
        break
      case "exit":
        system.ref(actorName<Order>(subject)).send({ exit: argument })
        break
      case "crash_together":
        // No turn for the supervisor in between.
        for (const id of subject.split("+")) {
          this.events.push(`crash ${id}`)
          system.crash(this.paths.get(id)!, "boom")
        }
        break
      case "start_dynamic":
        this.run(system.startChild("root", this.actor({ id: subject }, "root")))
        break
      default:
        this.manage(verb!, subject)
    }
    this.time.run(QUIET_MS)
  }

  private manage(verb: string, id: string) {
    const system = this.system!
    const path = `root/${id}`
    const call = () => {
      if (verb === "terminate_child") return system.terminateChild(path)
      if (verb === "delete_child") return system.deleteChild(path)
      if (verb === "restart_child") return system.restartChild(path, { ifRunning: "refuse" })
      if (verb !== "start_child") throw new Error(`no action ${verb}`)
      const spec = this.scenario.children.find((child) => child.id === id)!
      return system.startChild("root", this.child(spec, "root"))
    }
    const exit = this.run(Effect.result(call()))
    if (Exit.isFailure(exit)) throw new Error(`${verb} ${id} died`)
    const result = exit.value
    const failure = result._tag === "Failure" ? result.failure : undefined
    const answer = failure === undefined
      ? "ok"
      : failure.reason === "start_failed"
      ? "refused"
      : failure.reason
    this.events.push(`reply ${verb} ${id} ${answer}`)
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
      periodMs: PERIOD_MS,
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
    let starts = 0
    return behavior<{ leaving: boolean }, Order>({
      name: id,
      mailbox: { capacity: 10, overflow: "reject" },
      restart: child.restart ?? "permanent",
      shutdownMs: child.shutdown ?? 200,
      significant: child.significant ?? false,
      backoff: NO_BACKOFF,
      init: () => {
        if (startFails.includes(++starts)) {
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

function startErrorOf(exit: Exit.Failure<unknown, StartError>) {
  const reason = exit.cause.reasons.find((reason) => reason._tag === "Fail")
  if (reason === undefined) throw new Error("the start died")
  const { path, cause } = reason.error
  const why = cause.reasons.find((reason) => reason._tag === "Fail")
  return { child: path.slice(path.lastIndexOf("/") + 1), reason: String(why?.error) }
}
