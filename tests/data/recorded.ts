/**
 * Recorded data of real markets, for checks that need more than anybody would invent.
 *
 * It is not part of the repository: `KEEL_DATA` names its folder. Without it the checks are left out.
 */
import { gunzipSync } from "node:zlib"

const folder = Deno.env.get("KEEL_DATA")

/** A test that needs the recorded data; left out, visibly, where there is none. */
export function dataTest(name: string, body: () => void | Promise<void>) {
  Deno.test({ name, ignore: folder === undefined, fn: body })
}

export function pathOf(name: string): string {
  return `${folder}/${name}`
}

/** The text of a file, unpacked if its name says that it is packed. */
export function textOf(name: string): string {
  const bytes = Deno.readFileSync(pathOf(name))
  return new TextDecoder().decode(name.endsWith(".gz") ? gunzipSync(bytes) : bytes)
}

export function linesOf(name: string): ReadonlyArray<string> {
  return textOf(name).split("\n").filter((line) => line.trim() !== "")
}

export function filesOf(name: string): ReadonlyArray<string> {
  return [...Deno.readDirSync(pathOf(name))].map((entry) => `${name}/${entry.name}`).sort()
}

/** All files in a folder and the folders below it. */
export function filesBelow(name: string): ReadonlyArray<string> {
  return [...Deno.readDirSync(pathOf(name))].flatMap((entry) =>
    entry.isDirectory ? filesBelow(`${name}/${entry.name}`) : [`${name}/${entry.name}`]
  ).sort()
}
