/**
 * `deno task doctor`: what is wrong, and what to do, before anything runs.
 *
 * It looks at the configuration, the machine and the venues the way `start` would, says one line
 * about each, and ends with 1 when something would keep Keel from running. It changes nothing,
 * places no order, and repeats no secret.
 */
import { Effect, Redacted, Result } from "effect"
import { secretSource } from "./assembly/start.ts"
import { answer, flag, integer, optionalText, readArguments, text, type Values } from "./cli.ts"
import { checkMode, type Config, fileName, loadConfig } from "./config.ts"
import { fail, type Finding, lineOf, ok } from "./doctor_findings.ts"
import { examineFolder, examinePermissions, examinePort } from "./doctor_machine.ts"
import { examineVenue } from "./doctor_venues.ts"
import { type SecretSource, secretTexts, type VenueName } from "./keys.ts"
import { strategies } from "./strategies/mod.ts"

const command = {
  name: "doctor",
  does: "Checks configuration, disk, keys, clock and venues, and says what to do; exits with 1 " +
    "when something is wrong.",
  options: {
    config: optionalText("FILE", "configuration (default keel.json, if there is one)"),
    data: text("DIR", "./data", "folder of the journal"),
    port: integer({ min: 0, max: 65_535 }, 8_000, "port of the dashboard"),
    json: flag("one JSON document on standard output instead of lines"),
  },
}

export type DoctorOptions = Omit<Values<typeof command["options"]>, "json">

/** What is shorter is in every sentence, and no key. */
const SECRET_MIN = 6

const venueNames: ReadonlyArray<VenueName> = ["binance", "alpaca"]

/** Everything there is to say, in the order of looking. */
export const examine = Effect.fn("doctor.examine")(function* (
  options: DoctorOptions,
  source: SecretSource,
) {
  const file = options.config ?? fileName
  const loaded = yield* Effect.result(loadConfig({ file: options.config, strategies }))
  const findings: Array<Finding> = []
  if (Result.isFailure(loaded)) {
    const problems = loaded.failure.problems.map((says) =>
      fail("configuration", { says, remedy: `correct it in ${file}; nothing starts before` })
    )
    findings.push(...problems)
  } else findings.push(...configFindings(file, loaded.success))
  findings.push(...yield* examineFolder(options.data))
  findings.push(examinePort("127.0.0.1", options.port))
  if (Result.isSuccess(loaded)) {
    findings.push(yield* examinePermissions(loaded.success, options.data))
    const perVenue = yield* Effect.forEach(
      venueNames.filter((name) => loaded.success.venues[name] !== undefined),
      (name) => examineVenue(name, loaded.success, options.data, source),
      { concurrency: "unbounded" },
    )
    findings.push(...perVenue.flat())
  }
  return findings.map((finding) => withoutSecrets(finding, source))
})

function configFindings(file: string, { mode }: Config): ReadonlyArray<Finding> {
  const allowed = checkMode(file, mode)
  return Result.isSuccess(allowed)
    ? [ok("configuration", `mode ${mode}`)]
    : allowed.failure.problems.map((says) => fail("configuration", { says, remedy: "" }))
}

/** The adapters have taken them out already; this is the last door. */
function withoutSecrets(finding: Finding, source: SecretSource): Finding {
  const secrets = secretTexts(source).map(Redacted.value)
    .filter((secret) => secret.length >= SECRET_MIN)
  const clean = (words: string) =>
    secrets.reduce((rest, secret) => rest.replaceAll(secret, "***"), words)
  return { ...finding, says: clean(finding.says), remedy: clean(finding.remedy) }
}

if (import.meta.main) {
  const { options: { json, ...options } } = answer(readArguments(command, Deno.args))
  const findings = await Effect.runPromise(examine(options, secretSource))
  const isWell = findings.every(({ level }) => level !== "FAIL")
  if (json) console.log(JSON.stringify({ ok: isWell, findings }))
  else for (const finding of findings) console.log(lineOf(finding))
  Deno.exit(isWell ? 0 : 1)
}
