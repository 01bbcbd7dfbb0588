import assert from "node:assert/strict"
import { assets, assetsVersion } from "../../http/assets.ts"

const LIGHTWEIGHT_CHARTS_SHA256 = "1bb1ee79f9d4dd17261b53d930f7a8995748276f80e7ba0e24412b5068062f5f"

Deno.test("the vendored chart library is the published file, byte for byte", async () => {
  const file = assets.get("vendor/lightweight-charts-5.2.1.mjs")
  assert.ok(file)
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", file.plain)).toHex()
  assert.equal(hash, LIGHTWEIGHT_CHARTS_SHA256)
})

Deno.test("every file is the same compressed and plain", async () => {
  for (const [name, { plain, gzip }] of assets) {
    const stream = new Blob([gzip]).stream().pipeThrough(new DecompressionStream("gzip"))
    assert.deepEqual(new Uint8Array(await new Response(stream).arrayBuffer()), plain, name)
  }
})

Deno.test("no file asks another host for anything", () => {
  for (const [name, { plain }] of assets) {
    if (name.startsWith("vendor/") || name === "htmx.js") continue
    const hosts = new TextDecoder().decode(plain).match(/https?:\/\/[^\s"'`]+/g) ?? []
    assert.deepEqual(hosts.filter((url) => !url.startsWith("http://www.w3.org/")), [], name)
  }
})

Deno.test("the version names the content", () => {
  assert.match(assetsVersion, /^[0-9a-f]{12}$/)
})
