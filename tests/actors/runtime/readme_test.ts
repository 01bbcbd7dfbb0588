/** The examples of the README are programs: they type-check, run, and hold what they assert. */
import assert from "node:assert/strict"
import { fileURLToPath } from "node:url"

const runtime = new URL("../../../actors/runtime/", import.meta.url)
const readme = Deno.readTextFileSync(new URL("README.md", runtime))
const examples = readme.split("```ts\n").length - 1

Deno.test(`the ${examples} examples of the README run`, async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "--doc", "-A", fileURLToPath(new URL("README.md", runtime))],
    cwd: fileURLToPath(runtime),
    env: { NO_COLOR: "1" },
  }).output()
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr)
  assert.ok(success, text)
  assert.match(text, new RegExp(`${examples} passed \\| 0 failed`))
})

Deno.test("the README names every file of the runtime", () => {
  for (const { name } of Deno.readDirSync(runtime)) {
    if (!name.endsWith(".ts") || name === "mod.ts" || name === "async_context.ts") continue
    assert.ok(readme.includes(`\`${name}\``), name)
  }
})
