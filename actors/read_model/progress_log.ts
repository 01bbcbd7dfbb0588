/**
 * What was said about the newest commands, for whoever watches one.
 *
 * Watching begins with the first line, whenever it begins, and ends with the final one or where the
 * command has. It holds nothing up: who is slow or has gone has only not read yet.
 */
import type { CommandProgress } from "../../domain/command.ts"
import type { ReadModelLimits } from "./facts.ts"

export class ProgressLog {
  private readonly lines = new Map<string, Array<CommandProgress>>()
  private readonly listeners = new Set<(commandId: string | undefined) => void>()

  constructor(private readonly limits: Pick<ReadModelLimits, "commands" | "progressLines">) {}

  add(line: CommandProgress) {
    const { commandId, final } = line
    const lines = this.lines.get(commandId) ?? []
    if (lines.length < this.limits.progressLines || final) lines.push(line)
    this.lines.set(commandId, lines)
    for (const oldest of this.lines.keys()) {
      if (this.lines.size <= this.limits.commands) break
      this.lines.delete(oldest)
    }
    for (const listener of this.listeners) listener(commandId)
  }

  /** There may be less to come than was thought: whoever waits looks again. */
  lookAgain() {
    for (const listener of this.listeners) listener(undefined)
  }

  /**
   * Lines of a command from its beginning, then live; ends after the final one. Of one that `isOver`
   * says has ended the lines may be forgotten: then it says that, instead of waiting for them.
   */
  async *watch(
    commandId: string,
    isOver: () => { readonly time: number } | undefined,
  ): AsyncGenerator<CommandProgress> {
    let sent = 0
    let wake = () => {}
    const listener = (id: string | undefined) => (id === undefined || id === commandId) && wake()
    this.listeners.add(listener)
    try {
      while (true) {
        const lines = this.lines.get(commandId) ?? []
        while (sent < lines.length) {
          const line = lines[sent++]!
          yield line
          if (line.final) return
        }
        const over = isOver()
        if (over !== undefined) {
          const text = "It has ended; its last steps are in the journal."
          yield { commandId, time: over.time, text, tone: "plain", final: true }
          return
        }
        await new Promise<void>((resolve) => wake = resolve)
      }
    } finally {
      this.listeners.delete(listener)
    }
  }
}
