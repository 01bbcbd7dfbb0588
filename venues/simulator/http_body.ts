/**
 * The text of a request, whole; whoever sends more than `max` characters is cut off.
 */
import type { IncomingMessage } from "node:http"

export function readBody(request: IncomingMessage, max: number, done: (body: string) => void) {
  const chunks = new Array<string>()
  let length = 0
  request.setEncoding("utf8")
  request.on("data", (chunk: string) => {
    length += chunk.length
    if (length > max) request.socket.destroy()
    else chunks.push(chunk)
  })
  request.on("end", () => done(chunks.join("")))
}
