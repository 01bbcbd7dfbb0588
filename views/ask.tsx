/** The questions and answers of commands as pages of their own, for a browser without script. */
import type { FC, PropsWithChildren } from "hono/jsx"
import type { CommandProgress } from "../domain/command.ts"
import type { Overview } from "../domain/overview.ts"
import { Frame } from "./layout.tsx"
import { Clock } from "./time.tsx"

export interface PlainProps {
  readonly title: string
  readonly overview: Overview
  readonly version: string
  readonly now: number
}

export const PlainPage: FC<PropsWithChildren<PlainProps>> = ({ children, ...frame }) => (
  <Frame {...frame}>
    <main id="main" class="plain" tabindex={-1}>{children}</main>
  </Frame>
)

export const Question: FC<
  PropsWithChildren<{ title: string; action: string; answer: string; isDangerous?: boolean }>
> = ({ title, action, answer, isDangerous, children }) => (
  <form class="card ask" method="post" action={action}>
    <h1>{title}</h1>
    {children}
    <menu>
      <a class="btn" href="/">Back</a>
      <button
        type="submit"
        name="confirmed"
        value="yes"
        class={`btn ${isDangerous ? "danger" : "primary"}`}
      >
        {answer}
      </button>
    </menu>
  </form>
)

const toneWords: Readonly<Record<CommandProgress["tone"], string>> = {
  plain: "",
  confirmed: "confirmed",
  warning: "attention",
  error: "failed",
}

/** One line of a command's progress: in the dialog, and on the page without script. */
export const Step: FC<{ step: CommandProgress }> = ({ step }) => (
  <li class={step.tone} data-final={step.final ? "yes" : undefined}>
    <Clock at={step.time} />
    <span>{step.text}</span>
    {toneWords[step.tone] && <b>{toneWords[step.tone]}</b>}
  </li>
)

export const Toast: FC<PropsWithChildren<{ tone: "done" | "refused" }>> = ({ tone, children }) => (
  <p class={`toast ${tone}`}>{children}</p>
)
