/**
 * Reading a request's parameters the way the venue does: by name, strictly, and
 * with its words when one is missing or malformed.
 */
import { type Atoms, parseAtoms } from "./decimals.ts"

/** A refusal as the venue words it. `status` is the HTTP status. */
export class ApiError extends Error {
  readonly code: number
  readonly status: number
  readonly retryAfterSeconds: number | undefined
  /** What the venue adds to some refusals. */
  readonly data: unknown

  constructor(
    code: number,
    text: string,
    status = 400,
    retryAfterSeconds?: number,
    data?: unknown,
  ) {
    super(text)
    this.code = code
    this.status = status
    this.retryAfterSeconds = retryAfterSeconds
    this.data = data
  }

  toBody() {
    return {
      code: this.code,
      msg: this.message,
      ...(this.data !== undefined && { data: this.data }),
    }
  }
}

const CLIENT_ORDER_ID = /^[a-zA-Z0-9\-_]{1,36}$/

export class Params {
  readonly #values: ReadonlyMap<string, string>

  constructor(values: ReadonlyMap<string, string>) {
    this.#values = values
  }

  get names(): ReadonlyArray<string> {
    return [...this.#values.keys()]
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  text(name: string): string | undefined {
    const value = this.#values.get(name)
    if (value === "") throw empty(name)
    return value
  }

  mandatory(name: string): string {
    const value = this.text(name)
    if (value === undefined) throw missing(name)
    return value
  }

  integer(
    name: string,
    limits?: { readonly min?: number; readonly max?: number },
  ): number | undefined {
    const value = this.text(name)
    if (value === undefined) return undefined
    if (!/^-?\d{1,16}$/.test(value)) {
      throw new ApiError(
        -1100,
        `Illegal characters found in parameter '${name}'; legal range is '^[0-9]{1,20}$'.`,
      )
    }
    const number = Number(value)
    if (number < (limits?.min ?? 0)) {
      throw new ApiError(-1130, `Data sent for parameter '${name}' is not valid.`)
    }
    return limits?.max === undefined ? number : Math.min(number, limits.max)
  }

  /** A positive amount; 0 when it was not sent. */
  amount(name: string): Atoms {
    const value = this.text(name)
    if (value === undefined) return 0n
    if (!/^\d{1,20}(\.\d{1,20})?$/.test(value)) {
      throw new ApiError(
        -1100,
        `Illegal characters found in parameter '${name}'; legal range is '^([0-9]{1,20})(\\.[0-9]{1,20})?$'.`,
      )
    }
    const atoms = parseAtoms(value)
    if (atoms === undefined) {
      throw new ApiError(-1111, `Parameter '${name}' has too much precision.`)
    }
    if (atoms === 0n) throw new ApiError(-1013, `Invalid ${name}.`)
    return atoms
  }

  oneOf<const T extends string>(
    name: string,
    values: ReadonlyArray<T>,
    error: { readonly code: number; readonly text: string },
  ): T | undefined {
    const value = this.text(name)
    if (value === undefined) return undefined
    const found = values.find((one) => one === value)
    if (found === undefined) throw new ApiError(error.code, error.text)
    return found
  }

  clientOrderId(name: string): string | undefined {
    const value = this.text(name)
    if (value !== undefined && !CLIENT_ORDER_ID.test(value)) {
      throw new ApiError(
        -1100,
        `Illegal characters found in parameter '${name}'; legal range is '^[a-zA-Z0-9-_]{1,36}$'.`,
      )
    }
    return value
  }
}

export function missing(name: string): ApiError {
  return new ApiError(
    -1102,
    `Mandatory parameter '${name}' was not sent, was empty/null, or malformed.`,
  )
}

function empty(name: string): ApiError {
  return new ApiError(-1105, `Parameter '${name}' was empty.`)
}
