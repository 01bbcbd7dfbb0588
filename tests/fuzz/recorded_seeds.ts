/** Recordings of real markets to be damaged, for who has them: some of each. */
import { gunzipSync } from "node:zlib"

const folder = Deno.env.get("KEEL_DATA")
const EVERY = 400

const read = (path: string) => {
  const bytes = Deno.readFileSync(`${folder}/wire/${path}`)
  return new TextDecoder().decode(path.endsWith(".gz") ? gunzipSync(bytes) : bytes)
}
const frameOf = (line: string) => line.slice(line.indexOf("{"))
const below = (path: string) =>
  [...Deno.readDirSync(`${folder}/wire/${path}`)].map(({ name }) => read(`${path}/${name}`))

/** Frames for the decoder of that name. */
export function recordedSeeds(decoder: string): ReadonlyArray<string> {
  if (folder === undefined) return []
  switch (decoder) {
    case "Binance market frames":
      return [
        ...read("binance/spot-ws-btcusdt-20240808.jsonl.gz").split("\n")
          .filter((line, at) => line.includes("{") && at % EVERY === 0),
        ...read("binance/cryptofeed/BINANCE.ws.1.0").split("\n")
          .filter((line, at) => line.includes("{") && at % 10 === 1),
      ].map(frameOf)
    case "Binance private frames":
      return below("binance/nautilus/spot/user_data_json")
    default:
      return []
  }
}
