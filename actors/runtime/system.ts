/**
 * A running tree of actors: started in a scope, stopped with it, operated by path.
 *
 * The system adds nothing to supervision. It is the place to look names up, to
 * see the tree, to hear reports, and to change the tree while it runs. When its
 * root gives up it calls `onEscalation` first, while the children still run: what
 * has to be made safe is made safe by those who can.
 */
import { type Cause, Deferred, Effect, type Scope } from "effect"
import type { ActorName, ActorRef } from "./behavior.ts"
import { ActorChild, type Child, type StartError, type TreeNode } from "./child.ts"
import { type Dispatcher, EventLoopDispatcher } from "./dispatcher.ts"
import { causeLine, type DeadLetter, type SupervisionReport } from "./report.ts"
import { Runtime } from "./runtime.ts"
import { type ChildSpec, ManagementError, Supervisor, type SupervisorSpec } from "./supervisor.ts"

export interface RootExit {
  /** escalated: past its intensity. shutdown: its significant children ended. closed: the scope closed. */
  readonly reason: "escalated" | "shutdown" | "closed"
  /** One line. */
  readonly cause?: string
}

export interface ChildCount {
  readonly specs: number
  readonly active: number
  readonly supervisors: number
  readonly actors: number
}

export interface ActorSystem {
  ref<M>(name: ActorName<M>): ActorRef<M>
  tree(): TreeNode
  /** Returns how to stop listening. */
  onReport(listener: (report: SupervisionReport) => void): () => void
  onDeadLetter(listener: (letter: DeadLetter) => void): () => void
  readonly deadLetterCount: number
  /** Adds a child under the supervisor, last in its order, and starts it. */
  startChild(supervisorPath: string, spec: ChildSpec): Effect.Effect<void, ManagementError>
  /** Terminates and deletes. */
  stopChild(path: string): Effect.Effect<void, ManagementError>
  /** Stops it and keeps its specification: `restartChild`, or a restart of its group, revives it. */
  terminateChild(path: string): Effect.Effect<void, ManagementError>
  /** Forgets a child that has ended; refused while it runs. */
  deleteChild(path: string): Effect.Effect<void, ManagementError>
  /**
   * Starts it. When it runs, stops it before, with those whom its supervisor's strategy takes along;
   * or refuses. Does not count for the intensity.
   */
  restartChild(
    path: string,
    options?: { readonly ifRunning: "restart" | "refuse" },
  ): Effect.Effect<void, ManagementError>
  /** The supervisor's children, in start order; undefined when there is no such supervisor. */
  whichChildren(supervisorPath: string): ReadonlyArray<TreeNode> | undefined
  countChildren(supervisorPath: string): ChildCount | undefined
  /** On purpose: the actor crashes as if its handler had thrown. False when it does not run. */
  crash(path: string, message: string): boolean
  /** True while no cell is ready or busy, and no actor is starting, restarting or stopping. */
  idle(): boolean
  /** Completes when the root has given up, or has been closed. */
  readonly ended: Effect.Effect<RootExit>
}

export interface StartOptions {
  /** Default: the event loop's, shared by all systems of the isolate. */
  readonly dispatcher?: Dispatcher
  /** Runs when the root has given up and before its children stop, to its end, whatever it takes. */
  readonly onEscalation?: (cause: Cause.Cause<unknown>) => Effect.Effect<void>
  /** Hears all reports, those of the boot too. */
  readonly onReport?: (report: SupervisionReport) => void
}

let shared: EventLoopDispatcher | undefined

/**
 * Starts the tree in order; closing the scope stops it in reverse. Fails with the path of the child
 * that did not start, after those before it have been stopped again.
 */
export const start = Effect.fnUntraced(function* (
  root: SupervisorSpec,
  options: StartOptions = {},
): Effect.fn.Return<ActorSystem, StartError, Scope.Scope> {
  const context = yield* Effect.context<never>()
  const runtime = new Runtime(
    context,
    options.dispatcher ?? (shared ??= new EventLoopDispatcher()),
  )
  if (options.onReport !== undefined) runtime.reports.add(options.onReport)
  const ended = yield* Deferred.make<RootExit>()
  const finish = (exit: RootExit) => Deferred.doneUnsafe(ended, Effect.succeed(exit))
  const top = new Supervisor(runtime, undefined, root, {
    escalated: options.onEscalation ?? (() => Effect.void),
    ended: (cause) =>
      finish(cause ? { reason: "escalated", cause: causeLine(cause) } : { reason: "shutdown" }),
  })
  runtime.onZombies = () => {
    for (const cell of top.cells()) cell.recheck()
  }
  yield* Effect.addFinalizer(() =>
    Effect.andThen(
      top.stop(),
      Effect.sync(() => {
        top.kill("the system has stopped")
        runtime.timers.close()
        finish({ reason: "closed" })
      }),
    )
  )
  yield* top.start()
  return new System(runtime, top, Deferred.await(ended))
})

class System implements ActorSystem {
  constructor(
    private readonly runtime: Runtime,
    private readonly root: Supervisor,
    readonly ended: Effect.Effect<RootExit>,
  ) {}

  ref<M>(name: ActorName<M>): ActorRef<M> {
    return this.runtime.registry.ref(name.id)
  }

  tree() {
    return this.root.tree()
  }

  onReport(listener: (report: SupervisionReport) => void) {
    return this.runtime.reports.add(listener)
  }

  onDeadLetter(listener: (letter: DeadLetter) => void) {
    return this.runtime.deadLetters.add(listener)
  }

  get deadLetterCount() {
    return this.runtime.deadLetterCount
  }

  startChild(supervisorPath: string, spec: ChildSpec) {
    const found = this.find(supervisorPath)
    if (found === undefined) return refused("not_found", supervisorPath)
    if (!(found instanceof Supervisor)) return refused("not_a_supervisor", supervisorPath)
    return found.addChild(spec)
  }

  stopChild(path: string) {
    return this.atParent(path, (parent, name) => parent.removeChild(name))
  }

  terminateChild(path: string) {
    return this.atParent(path, (parent, name) => parent.terminateChild(name))
  }

  deleteChild(path: string) {
    return this.atParent(path, (parent, name) => parent.deleteChild(name))
  }

  restartChild(path: string, options?: { readonly ifRunning: "restart" | "refuse" }) {
    const ifRunning = options?.ifRunning ?? "restart"
    return this.atParent(path, (parent, name) => parent.restartChild(name, ifRunning))
  }

  whichChildren(supervisorPath: string) {
    const found = this.find(supervisorPath)
    return found instanceof Supervisor ? found.tree().children : undefined
  }

  countChildren(supervisorPath: string): ChildCount | undefined {
    const found = this.find(supervisorPath)
    if (!(found instanceof Supervisor)) return undefined
    const children = [...found.children.values()]
    const supervisors = children.filter((child) => child instanceof Supervisor).length
    return {
      specs: children.length,
      active: children.filter((child) => child.isLive).length,
      supervisors,
      actors: children.length - supervisors,
    }
  }

  crash(path: string, message: string): boolean {
    const child = this.find(path)
    if (!(child instanceof ActorChild) || child.status !== "running") return false
    child.life?.crash(new Error(message))
    return true
  }

  idle() {
    return this.root.isIdle
  }

  private find(path: string): Child | undefined {
    const [first, ...rest] = path.split("/")
    if (first !== this.root.name) return undefined
    let child: Child | undefined = this.root
    for (const name of rest) {
      child = child instanceof Supervisor ? child.children.get(name) : undefined
    }
    return child
  }

  private atParent(
    path: string,
    act: (parent: Supervisor, name: string) => Effect.Effect<void, ManagementError>,
  ): Effect.Effect<void, ManagementError> {
    return Effect.suspend(() => {
      const at = path.lastIndexOf("/")
      const parent = at < 0 ? undefined : this.find(path.slice(0, at))
      return parent instanceof Supervisor
        ? act(parent, path.slice(at + 1))
        : refused("not_found", path)
    })
  }
}

const refused = (reason: ManagementError["reason"], path: string) =>
  Effect.fail(new ManagementError({ reason, path }))
