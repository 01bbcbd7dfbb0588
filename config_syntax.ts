/**
 * Reads JSON, and says where it stops being JSON.
 *
 * The parser of the platform names a position only for some mistakes, quotes the text around it,
 * which may hold a secret, and takes the last of two equal keys. This finds the place itself.
 */

export interface SyntaxProblem {
  /** Counted from 1, in characters. */
  readonly line: number
  readonly column: number
  /** `expected "," or "}"`. */
  readonly says: string
}

const depthMax = 50

/** The value, or the first mistake. */
export function readJson(
  text: string,
): { readonly value: unknown } | { readonly problem: SyntaxProblem } {
  const mistake = new Scanner(text).scan()
  if (mistake === undefined) return { value: JSON.parse(text) as unknown }
  const before = text.slice(0, mistake.at).split("\n")
  const column = (before.at(-1)?.length ?? 0) + 1
  return { problem: { line: before.length, column, says: mistake.says } }
}

class Mistake {
  constructor(readonly at: number, readonly says: string) {}
}

class Scanner {
  #at = 0

  constructor(readonly text: string) {}

  scan(): Mistake | undefined {
    try {
      this.#value(0)
      this.#blank()
      if (this.#at < this.text.length) throw this.#expected("the end of the file")
    } catch (mistake) {
      if (mistake instanceof Mistake) return mistake
      throw mistake
    }
  }

  #value(depth: number): void {
    if (depth > depthMax) throw new Mistake(this.#at, `nested more than ${depthMax} deep`)
    this.#blank()
    if (this.#takes("{")) this.#object(depth)
    else if (this.#takes("[")) this.#array(depth)
    else if (this.text[this.#at] === '"') this.#string()
    else if (
      !this.#matches(/(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.])/y)
    ) {
      throw this.#expected("a value")
    }
  }

  #object(depth: number): void {
    const keys = new Set<string>()
    this.#blank()
    if (this.#takes("}")) return
    do {
      this.#blank()
      const at = this.#at
      if (this.text[at] !== '"') throw this.#expected("a key in double quotes")
      const key = this.#string()
      if (keys.has(key)) throw new Mistake(at, "the same key stands here twice")
      keys.add(key)
      this.#blank()
      if (!this.#takes(":")) throw this.#expected('":"')
      this.#value(depth + 1)
      this.#blank()
    } while (this.#takes(","))
    if (!this.#takes("}")) throw this.#expected('"," or "}"')
  }

  #array(depth: number): void {
    this.#blank()
    if (this.#takes("]")) return
    do {
      this.#value(depth + 1)
      this.#blank()
    } while (this.#takes(","))
    if (!this.#takes("]")) throw this.#expected('"," or "]"')
  }

  #string(): string {
    const from = this.#at
    // deno-lint-ignore no-control-regex -- JSON forbids them inside a string.
    if (!this.#matches(/"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y)) {
      throw new Mistake(from, "this text does not end, or holds a bad escape")
    }
    return JSON.parse(this.text.slice(from, this.#at)) as string
  }

  #blank(): void {
    this.#matches(/[ \t\r\n]*/y)
  }

  #takes(character: string): boolean {
    if (this.text[this.#at] !== character) return false
    this.#at += 1
    return true
  }

  #matches(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at
    if (!pattern.test(this.text)) return false
    this.#at = pattern.lastIndex
    return true
  }

  #expected(what: string): Mistake {
    if (this.#at >= this.text.length) {
      return new Mistake(this.#at, `the file ends, expected ${what}`)
    }
    if (/^\/[/*]/.test(this.text.slice(this.#at, this.#at + 2))) {
      return new Mistake(this.#at, "JSON has no comments")
    }
    return new Mistake(this.#at, `expected ${what}`)
  }
}
