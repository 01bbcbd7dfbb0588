/**
 * `deno task bench [NAME] [options]`: runs one benchmark, or all of them, each in its own process.
 *
 * Benchmarks share nothing but their output: one JSON document with `--json`, a table without.
 */
const benches: Readonly<Record<string, { readonly file: string; readonly does: string }>> = {
  actors: {
    file: "actors/main.ts",
    does: "the actor runtime beside Erlang and the runtimes of npm",
  },
  pipeline: {
    file: "pipeline/main.ts",
    does: "from the bytes of a socket to an event, beside other people's clients",
  },
  outage: { file: "outage.ts", does: "how long it takes until an outage is noticed" },
}

const HELP = `deno task bench [NAME] [--json] [options of the benchmark]

${Object.entries(benches).map(([name, { does }]) => `  ${name.padEnd(10)}${does}`).join("\n")}

Without a name, all of them. deno task bench NAME --help lists a benchmark's own options.`

async function main(args: ReadonlyArray<string>): Promise<number> {
  const [first = ""] = args
  if (first === "--help" || first === "-h") {
    console.log(HELP)
    return 0
  }
  const named = first !== "" && !first.startsWith("-")
  if (named && !Object.hasOwn(benches, first)) {
    console.error(
      `bench: there is no benchmark ${JSON.stringify(first.slice(0, 40))}: ` +
        `one of ${Object.keys(benches).join(", ")}`,
    )
    return 2
  }
  const rest = named ? args.slice(1) : args
  const isJson = rest.includes("--json")
  const rows: Array<unknown> = []
  for (const [name, { file }] of Object.entries(benches)) {
    if (named && name !== first) continue
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-lock", "--allow-all", new URL(file, import.meta.url).href, ...rest],
      stdout: isJson ? "piped" : "inherit",
      stderr: "inherit",
    }).spawn()
    const text = isJson ? await new Response(child.stdout).text() : ""
    const { code } = await child.status
    if (code !== 0) return code
    // A question for help is answered by the benchmark, in words.
    if (!isJson || rest.includes("--help") || rest.includes("-h")) continue
    rows.push(...JSON.parse(text))
  }
  if (isJson) console.log(JSON.stringify(rows))
  return 0
}

Deno.exit(await main(Deno.args))
