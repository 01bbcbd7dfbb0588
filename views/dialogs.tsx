/**
 * Everything that asks before it acts. Dialogs stand outside every streamed region, so nothing
 * typed or half decided is overwritten by an update.
 *
 * Each form has a plain `action`: without script the same post leads to a page that asks the same
 * question. The command id in a form changes after every answer, or the next press would be taken
 * for a repetition of the last.
 */
import type { Child, FC, PropsWithChildren } from "hono/jsx"
import type { Mode } from "../domain/overview.ts"
import { words } from "./format.ts"
import { modeWords } from "./header.tsx"

export interface SwapChoice {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly params: ReadonlyArray<
    { readonly name: string; readonly description: string; readonly default: string }
  >
}

export interface DialogsProps {
  readonly mode: Mode
  readonly newId: () => string
  readonly strategies: ReadonlyArray<SwapChoice>
}

export const FLATTEN_WORD = "FLATTEN"

export const CommandIdField: FC<{ id: string }> = ({ id }) => (
  <input type="hidden" name="commandId" value={id} />
)

export const Dialogs: FC<DialogsProps> = ({ mode, newId, strategies }) => (
  <>
    <Dialog name="pause" title="Pause everything?">
      <form id="form-pause" method="post" action="/controls/pause" {...posted("/controls/pause")}>
        <CommandIdField id={newId()} />
        <p>
          No strategy sends an order until you resume, to open or to close, on any instrument. The
          pause survives a restart.
        </p>
        <p class="keeps">
          Positions and open orders stay as they are. Your own closes, cancels and flatten go on
          working.
        </p>
        <Buttons name="pause">
          <button type="submit" class="btn primary">Pause all</button>
        </Buttons>
      </form>
    </Dialog>
    <Dialog name="resume" title="Resume trading?">
      <form
        id="form-resume"
        method="post"
        action="/controls/resume"
        {...posted("/controls/resume")}
      >
        <CommandIdField id={newId()} />
        <p>
          Strategies trade again from their next signal on, and open positions wherever prices are
          streamed and fresh.
        </p>
        <Buttons name="resume">
          <button type="submit" class="btn primary">Resume</button>
        </Buttons>
      </form>
    </Dialog>
    <Dialog name="close" title="Close this position at market?">
      <form
        id="form-close"
        method="post"
        action="/positions/close"
        {...streamed("/positions/close", "close")}
      >
        <CommandIdField id={newId()} />
        <input type="hidden" name="instrument" id="close-instrument" />
        <p>
          Sells or buys back <b id="close-what"></b> {inMode(mode)}, at the price the market gives.
        </p>
        <Steps name="close" />
        <Buttons name="close">
          <button type="submit" class="btn danger" name="confirmed" value="yes">
            Close at market
          </button>
        </Buttons>
      </form>
    </Dialog>
    <Dialog name="flatten" title={<FlattenTitle />}>
      <form
        id="form-flatten"
        method="post"
        action="/controls/flatten"
        {...streamed("/controls/flatten", "flatten")}
      >
        <CommandIdField id={newId()} />
        <input type="hidden" name="account" id="flatten-account" value="" />
        <FlattenQuestion mode={mode} />
        <Steps name="flatten" />
        <Buttons name="flatten">
          <button type="submit" class="btn danger">Flatten now</button>
        </Buttons>
      </form>
    </Dialog>
    <Dialog name="swap" title="Swap the strategy">
      <form
        id="form-swap"
        method="post"
        action="/strategies/swap"
        {...posted("/strategies/swap")}
      >
        <CommandIdField id={newId()} />
        <input type="hidden" name="runner" id="swap-runner" />
        <p>
          Instead of{" "}
          <b id="swap-what"></b>. Open orders and positions stay as they are; the new strategy warms
          up before its first signal.
        </p>
        <SwapFields strategies={strategies} />
        <Buttons name="swap">
          <button type="submit" class="btn primary" name="confirmed" value="yes">Swap</button>
        </Buttons>
      </form>
    </Dialog>
    <dialog id="dialog-actor" aria-labelledby="actor-name">
      <h2 id="actor-name"></h2>
      <div id="actor-panel"></div>
      <OperateForm id={newId()} mode={mode} path="">
        <button type="button" class="btn" data-close="dialog-actor">Close</button>
      </OperateForm>
    </dialog>
    <dialog id="dialog-keys" aria-labelledby="dialog-keys-title">
      <h2 id="dialog-keys-title">Keyboard</h2>
      <dl class="keys">
        <Key name="p">Pause or resume, after a confirmation</Key>
        <Key name="Shift F">Flatten, behind a typed word</Key>
        <Key name="f">Freeze the view; trading goes on</Key>
        <Key name="/">Filter the events</Key>
        <Key name="t">Light or dark</Key>
        <Key name="?">This list</Key>
      </dl>
      <label class="switch">
        <input type="checkbox" id="keys-on" checked />
        <span>Single-key shortcuts</span>
      </label>
      <menu>
        <button type="button" class="btn" data-close="dialog-keys">Close</button>
      </menu>
    </dialog>
    <OutsideForm id="form-override" path="/positions/override" newId={newId} />
    <OutsideForm id="form-account" path="/controls/account" newId={newId} />
    <OutsideForm id="form-cancel" path="/orders/cancel" newId={newId} />
  </>
)

/** Of buttons inside streamed regions; it stands outside of them to keep its id. */
const OutsideForm: FC<{ id: string; path: string; newId: () => string }> = (
  { id, path, newId },
) => (
  <form id={id} method="post" action={path} {...posted(path)}>
    <CommandIdField id={newId()} />
  </form>
)

/** Answered with nothing to swap but a toast. */
function posted(url: string) {
  return { "hx-post": url, "hx-swap": "none" }
}

/** Answered by an event stream: each step is appended, and the button stays off until the end. */
function streamed(url: string, name: string) {
  return {
    "hx-post": url,
    "hx-target": `#${name}-steps`,
    "hx-swap": "beforeend",
    "hx-disable": "find button[type=submit]",
  }
}

function inMode(mode: Mode): string {
  return mode === "live" ? "for real money" : `in the ${modeWords[mode].name.toLowerCase()} account`
}

export const FlattenQuestion: FC<{ mode: Mode }> = ({ mode }) => (
  <>
    <p>
      Cancels every open order there, closes every position at market {inMode(mode)}{" "}
      and stops the strategies there from opening new ones. Where the market is closed, the orders
      wait for it to open. This cannot be undone.
    </p>
    <label>
      <span>
        Type <kbd>{FLATTEN_WORD}</kbd> to confirm
      </span>
      <input
        name="confirm"
        id="flatten-confirm"
        pattern={FLATTEN_WORD}
        required
        autocomplete="off"
        autocapitalize="characters"
        spellcheck={false}
      />
    </label>
  </>
)

/** Only what the venue has confirmed is marked as confirmed. */
const Steps: FC<{ name: string }> = ({ name }) => (
  <div role="log" aria-live="polite" aria-label="Progress" class="steps-scroll" tabindex={0}>
    <ol id={`${name}-steps`} class="steps"></ol>
  </div>
)

export const SwapFields: FC<{ strategies: ReadonlyArray<SwapChoice> }> = ({ strategies }) => (
  <>
    <label>
      <span>Strategy</span>
      <select name="strategy" id="swap-strategy">
        {strategies.map(({ name, title }) => <option value={name} key={name}>{title}</option>)}
      </select>
    </label>
    {strategies.map(({ name, description, params }) => (
      <fieldset data-strategy={name} key={name}>
        <legend>{words(name)}</legend>
        <p class="dim">{description}</p>
        {params.map((param) => (
          <label key={param.name} class="param">
            <span>
              {words(param.name)}
              <small>{param.description}</small>
            </span>
            <input
              name={`param:${name}:${param.name}`}
              value={param.default}
              data-param={param.name}
              data-default={param.default}
              autocomplete="off"
            />
          </label>
        ))}
      </fieldset>
    ))}
  </>
)

/** Crashing on purpose shows the recovery, and is offered only where no money is at stake. */
export const OperateForm: FC<PropsWithChildren<{ id: string; mode: Mode; path: string }>> = (
  { id, mode, path, children },
) => (
  <form id="form-actor" method="post" action="/actors/operate" {...posted("/actors/operate")}>
    <CommandIdField id={id} />
    <input type="hidden" name="path" id="actor-path" value={path} />
    <menu>
      {children}
      {mode === "sim" && (
        <button type="submit" class="btn" name="operation" value="crash_actor">
          Crash on purpose
        </button>
      )}
      <button type="submit" class="btn primary" name="operation" value="restart_actor">
        Restart
      </button>
    </menu>
  </form>
)

/** The button that opens the dialog says what. */
const FlattenTitle: FC = () => (
  <>
    Flatten <span id="flatten-what">everything</span>?
  </>
)

const Dialog: FC<PropsWithChildren<{ name: string; title: Child }>> = (
  { name, title, children },
) => (
  <dialog id={`dialog-${name}`} aria-labelledby={`dialog-${name}-title`}>
    <h2 id={`dialog-${name}-title`}>{title}</h2>
    {children}
  </dialog>
)

const Buttons: FC<PropsWithChildren<{ name: string }>> = ({ name, children }) => (
  <menu>
    <button type="button" class="btn" data-close={`dialog-${name}`}>Back</button>
    {children}
  </menu>
)

const Key: FC<{ name: string; children?: Child }> = ({ name, children }) => (
  <div>
    <dt>
      <kbd>{name}</kbd>
    </dt>
    <dd>{children}</dd>
  </div>
)
