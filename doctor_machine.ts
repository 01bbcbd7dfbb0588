/** Looks at the machine: what `start` needs of it besides the venues. It leaves nothing behind. */
import { statfs } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import { Effect, Result } from "effect"
import type { Config } from "./config.ts"
import { fail, type Finding, ok, spaceFinding, warn } from "./doctor_findings.ts"
import { openKvFile } from "./storage/kv_file.ts"

/** The folder of the journal: can it be written, is there room, does Deno KV open in it. */
export const examineFolder = Effect.fn("doctor.folder")(function* (folder: string) {
  const what = "data folder"
  const place = yield* Effect.promise(() => nearestFolder(folder))
  if (place === undefined) {
    return [fail(what, {
      says: `${folder} is not a folder`,
      remedy: "choose another one with --data",
    })]
  }
  const probe = yield* Effect.promise(() => tried(() => Deno.makeTempDir({ dir: place })))
  if (Result.isFailure(probe)) {
    return [fail(what, {
      says: `${place} cannot be written (${probe.failure})`,
      remedy: "check its owner and permissions, or choose another folder with --data",
    })]
  }
  const findings = [ok(what, place === folder ? `${folder} can be written` : newFolder(folder))]
  const opened = yield* Effect.result(Effect.scoped(openKvFile(probe.success, "probe.db")))
  findings.push(
    Result.isSuccess(opened) ? ok("Deno KV", "it opens") : fail("Deno KV", {
      says: opened.failure.message,
      remedy: "choose a local disk with --data",
    }),
  )
  yield* Effect.promise(() => tried(() => Deno.remove(probe.success, { recursive: true })))
  const space = yield* Effect.promise(() => tried(() => statfs(place)))
  findings.push(
    Result.isSuccess(space)
      ? spaceFinding("disk", space.success.bavail * space.success.bsize)
      : warn("disk", {
        says: `its free space cannot be read (${space.failure})`,
        remedy: "look yourself that there is at least 1 GB",
      }),
  )
  return findings
})

function newFolder(folder: string): string {
  return `${folder} does not exist yet and can be made`
}

/** The folder itself, or the one in which it would be made. */
async function nearestFolder(folder: string): Promise<string | undefined> {
  for (let place = folder;;) {
    const found = await tried(() => Deno.stat(place))
    if (Result.isSuccess(found)) return found.success.isDirectory ? place : undefined
    const above = dirname(resolve(place))
    if (above === resolve(place)) return undefined
    place = above
  }
}

export function examinePort(hostname: string, port: number): Finding {
  const what = `port ${port}`
  if (port === 0) return ok("port", "any free one")
  try {
    Deno.listen({ hostname, port }).close()
    return ok(what, "it is free")
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) {
      const remedy = "if that is not Keel, stop it, or start with --port 0"
      return warn(what, { says: `another program listens on ${hostname}:${port}`, remedy })
    }
    return fail(what, {
      says: `it cannot be opened (${error instanceof Error ? error.message : String(error)})`,
      remedy: "choose another one with --port",
    })
  }
}

/** Whether Deno lets `start` do what the configuration asks for. */
export const examinePermissions = Effect.fn("doctor.permissions")(function* (
  { venues }: Config,
  folder: string,
) {
  const hosts = Object.values(venues).flatMap((venue) =>
    Object.entries(venue).flatMap(([name, value]) =>
      name.endsWith("Url") && typeof value === "string" ? [new URL(value).host] : []
    )
  )
  const wanted: ReadonlyArray<Deno.PermissionDescriptor> = [
    { name: "read", path: folder },
    { name: "write", path: folder },
    ...[...new Set(hosts)].map((host) => ({ name: "net" as const, host })),
  ]
  const denied: Array<string> = []
  for (const each of wanted) {
    const { state } = yield* Effect.promise(() => Deno.permissions.query(each))
    if (state === "granted") continue
    denied.push(
      each.name === "net" ? `--allow-net=${each.host}` : `--allow-${each.name}=${folder}`,
    )
  }
  if (denied.length === 0) return ok("permissions", "Deno allows what is needed")
  return fail("permissions", {
    says: `Deno was started without ${denied.join(" ")}`,
    remedy: "add it to the task in deno.json, or remove the URLs from keel.json",
  })
})

async function tried<A>(work: () => Promise<A>): Promise<Result.Result<A, string>> {
  try {
    return Result.succeed(await work())
  } catch (error) {
    return Result.fail(error instanceof Error ? error.message : String(error))
  }
}
