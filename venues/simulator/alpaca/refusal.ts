/**
 * Why the venue does not do what it was asked to: its status, code and text.
 */

export interface Refusal {
  readonly status: number
  readonly code: number
  readonly message: string
  /** What the venue adds for this reason. */
  readonly facts?: Readonly<Record<string, unknown>>
}

/** What was sent is not an order. */
export const malformed = (message: string): Refusal => ({ status: 422, code: 40010001, message })

/** It is one, but not one that can be taken. */
export const unprocessable = (message: string, facts?: Refusal["facts"]): Refusal => ({
  status: 422,
  code: 42210000,
  message,
  ...(facts && { facts }),
})

/** It could be taken, but not from this account now. */
export const forbidden = (message: string, facts?: Refusal["facts"]): Refusal => ({
  status: 403,
  code: 40310000,
  message,
  ...(facts && { facts }),
})

export const missing = (message: string): Refusal => ({ status: 404, code: 40410000, message })

export function isRefusal(value: object): value is Refusal {
  return "code" in value && "message" in value && "status" in value
}
