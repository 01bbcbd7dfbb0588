// deno-lint-ignore-file no-import-prefix
/**
 * The one browser all browser tests share.
 *
 * `BROWSER_PATH`, else a Chrome or Chromium on the PATH, else the one inside `@sparticuz/chromium`
 * (Linux on x64), which needs neither an installation nor root. Without any, tests are skipped and
 * one line says why; in CI that is an error, because a test that never runs is not a test.
 */
// Named here and locked in `tests/deno.lock`: whatever the lock file beside `deno.json` holds is
// fetched by every start, and a browser of 70 MB is for those who run the tests.
import {
  type Browser,
  type BrowserContextOptions,
  chromium,
  type Page,
} from "npm:playwright-core@1.65.1"
import axe from "npm:axe-core@4.14.1/axe.min.js" with { type: "text" }

export { axe, type BrowserContextOptions, type Page }

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
const MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"

interface Executable {
  readonly path: string
  readonly args: ReadonlyArray<string>
  readonly env?: Record<string, string>
}

export const browser: Browser | undefined = await launch()

async function launch(): Promise<Browser | undefined> {
  let reason = "no Chrome or Chromium found; set BROWSER_PATH"
  try {
    const found = installed() ?? await bundled()
    if (found) {
      const { path: executablePath, args, env } = found
      return await chromium.launch({ executablePath, args: [...args], ...(env && { env }) })
    }
  } catch (cause) {
    reason = String(cause).split("\n")[0] ?? reason
  }
  if (Deno.env.get("CI")) throw new Error(`browser tests must run in CI: ${reason}`)
  console.warn(`Browser tests are skipped: ${reason}`)
}

function installed(): Executable | undefined {
  const directories = (Deno.env.get("PATH") ?? "").split(":")
  const places = directories.flatMap((directory) => NAMES.map((name) => `${directory}/${name}`))
  const path = Deno.env.get("BROWSER_PATH") ?? [...places, MAC].find(isFile)
  // Chromium refuses to run as root with its sandbox on, as it does in most containers.
  return path === undefined ? undefined : { path, args: Deno.uid() === 0 ? ["--no-sandbox"] : [] }
}

/**
 * The package unpacks its system libraries only where it believes to be on AWS, reads `TMPDIR` when
 * it is imported, and then trusts what it finds there: hence the borrowed variables, the late
 * import and a private folder. Its own `args` are not used: they switch off the web's security.
 */
async function bundled(): Promise<Executable | undefined> {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return
  const home = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`
  const folder = `${home}/keel-chromium`
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 })
  const path = await withEnv(
    { TMPDIR: folder, AWS_EXECUTION_ENV: "AWS_Lambda_nodejs22.x" },
    async () => (await import("npm:@sparticuz/chromium@153.0.0")).default.executablePath(),
  )
  // Its own configuration looks for the fonts in /tmp, and without any font at all Chromium dies at
  // the first text field.
  const fonts = `${folder}/fonts-here.conf`
  await Deno.writeTextFile(
    fonts,
    `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>` +
      `<dir>${folder}/fonts</dir><cachedir>${folder}/fonts-cache</cachedir></fontconfig>`,
  )
  const env = {
    ...Deno.env.toObject(),
    LD_LIBRARY_PATH: `${folder}/al2023/lib`,
    FONTCONFIG_FILE: fonts,
  }
  return { path, args: ["--no-sandbox", "--headless=shell"], env }
}

async function withEnv<A>(values: Record<string, string>, body: () => Promise<A>): Promise<A> {
  const before = Object.keys(values).map((name) => [name, Deno.env.get(name)] as const)
  for (const [name, value] of Object.entries(values)) Deno.env.set(name, value)
  try {
    return await body()
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name)
      else Deno.env.set(name, value)
    }
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile
  } catch {
    return false
  }
}
