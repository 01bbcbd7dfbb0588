/** A section of the page: its heading and tools stand still, its body may be streamed. */
import type { Child, FC, PropsWithChildren } from "hono/jsx"

interface Props {
  /** Anchor, and `data-area` of the style sheet. */
  readonly name: string
  readonly title: string
  /** Beside the heading: links, filters, legends. */
  readonly tools?: Child
}

export const Card: FC<PropsWithChildren<Props>> = ({ name, title, tools, children }) => (
  <section class="card" id={name} data-area={name} aria-labelledby={`${name}-title`}>
    <header>
      <h2 id={`${name}-title`}>{title}</h2>
      <div class="tools">{tools}</div>
      <button
        type="button"
        class="fold"
        data-fold={name}
        aria-expanded="true"
        aria-controls={`${name}-body`}
        aria-label={`Fold ${title}`}
      >
        <span class="chevron" aria-hidden="true"></span>
      </button>
    </header>
    <div class="body" id={`${name}-body`}>{children}</div>
  </section>
)

/** What stands where nothing is yet: what is awaited, and what would fill it. */
export const Empty: FC<PropsWithChildren<{ title: string }>> = ({ title, children }) => (
  <div class="empty">
    <b>{title}</b>
    <p>{children}</p>
  </div>
)
