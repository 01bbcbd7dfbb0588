/**
 * `fetch` for requests that must not be made twice.
 *
 * The platform's sends a request again, unasked, when a connection it had kept fails under it, even
 * after the venue has read it: an order would be placed twice, under one id. On a connection of its
 * own there is no second time; it costs a handshake. What only reads or deletes may be repeated.
 */
const onlyOnce: ReadonlySet<string> = new Set(["POST", "PATCH"])

export async function fetchOnce(
  input: string | URL | Request,
  init?: RequestInit,
): Promise<Response> {
  const request = new Request(input, init)
  if (!onlyOnce.has(request.method)) return await fetch(request)
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 })
  const answer = await fetch(request, { client })
  // Read while the connection is there.
  const body = await answer.arrayBuffer()
  return new Response(body.byteLength === 0 ? null : body, answer)
}
