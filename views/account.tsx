/** The accounts, venue by venue: are their books agreed, what lies there, what has come of it. */
import type { FC } from "hono/jsx"
import { dollars, isDollar } from "../domain/dollar.ts"
import type { AccountView, EquityView, RequestLimitView } from "../domain/overview.ts"
import { Empty } from "./card.tsx"
import { figure, minus, percent, quantity, signedUsd, tone, usd, venueName } from "./format.ts"
import type { PageView } from "./page_view.ts"
import { accountShape, Dot, linkShape } from "./status.tsx"
import { Elapsed } from "./time.tsx"

export const Accounts: FC<{ view: PageView }> = ({ view: { overview } }) =>
  overview.accounts.length === 0
    ? <Empty title="No account yet">It appears when the venue has answered.</Empty>
    : (
      <>
        {overview.accounts.map((account) => <Account key={account.venue} account={account} />)}
        {overview.accounts.length > 1 && (
          <p class="calm">
            The figures above are of all accounts together; {dollars.slice(0, -1).join(", ")} and
            {" "}
            {dollars.at(-1)} count one to one.
          </p>
        )}
      </>
    )

const Account: FC<{ account: AccountView }> = ({ account }) => (
  <div class="account" id={`account-${account.venue}`}>
    <p class="feed-head">
      <Dot shape={accountShape(account.status)} />
      <b>{account.label}</b>
      <span>{account.paused ? "paused" : account.status}</span>
      <span class="since">
        {account.reconciledAt === undefined ? "never reconciled" : (
          <>
            reconciled <Elapsed at={account.reconciledAt} />
          </>
        )}
      </span>
    </p>
    {account.lastCause && account.status !== "ready" && (
      <p class="feed-cause">{account.lastCause}</p>
    )}
    {account.equity && <Worth equity={account.equity} />}
    <dl class="facts">
      <div>
        <dt>Private link</dt>
        <dd>
          <Dot shape={linkShape(account.link)} /> {account.link}
        </dd>
      </div>
      <div>
        <dt>Last order event</dt>
        <dd>
          {account.lastEventAt === undefined ? "none yet" : <Elapsed at={account.lastEventAt} />}
        </dd>
      </div>
      <div>
        <dt>Clock offset</dt>
        <dd>
          {account.clockOffsetMs === undefined
            ? "unknown"
            : `${String(account.clockOffsetMs).replace("-", "\u2212")} ms`}
        </dd>
      </div>
      {account.requests.length > 0 && <Requests limits={account.requests} />}
    </dl>
    <dl class="holdings">
      {account.cash.map(({ asset, quantity: held }) => (
        <div key={asset}>
          <dt>{asset}</dt>
          <dd>{isDollar(asset) ? figure(held) : quantity(held)}</dd>
        </div>
      ))}
      {account.dust.length > 0 && (
        <div class="dust" title="Too small for the venue to sell">
          <dt>Dust</dt>
          <dd>{account.dust.map(({ asset, quantity: held }) => `${held} ${asset}`).join(", ")}</dd>
        </div>
      )}
    </dl>
    <AccountControls account={account} />
  </div>
)

const Worth: FC<{ equity: EquityView }> = ({ equity }) => {
  const pnl = minus(equity.total, equity.start)
  return (
    <dl class="facts worth">
      <div>
        <dt>Equity</dt>
        <dd>{usd(equity.total)}</dd>
      </div>
      <div>
        <dt>P&amp;L</dt>
        <dd class={tone(pnl)}>{signedUsd(pnl)}</dd>
      </div>
      <div>
        <dt>Exposure</dt>
        <dd>{usd(equity.exposure, 0)}</dd>
      </div>
      <div>
        <dt>Drawdown</dt>
        <dd>{percent(`-${equity.drawdown}`)}</dd>
      </div>
    </dl>
  )
}

/** Of several limits the one that is nearest. */
const Requests: FC<{ limits: ReadonlyArray<RequestLimitView> }> = ({ limits }) => {
  const share = ({ used, limit }: RequestLimitView) => limit > 0 ? used / limit : 0
  const [nearest] = limits.toSorted((a, b) => share(b) - share(a))
  if (nearest === undefined) return null
  const banned = limits.find(({ bannedUntil }) => bannedUntil !== undefined)
  const title = limits.map(({ name, used, limit, windowMs }) =>
    `${name}: ${used} of ${limit} in ${windowMs / 1000} s`
  ).join(", ")
  return (
    <div title={title}>
      <dt>Requests</dt>
      <dd class={banned === undefined ? "" : "warn"}>
        {banned?.bannedUntil === undefined
          ? `${Math.round(share(nearest) * 100)}% of the limit`
          : (
            <>
              silent for <Elapsed at={banned.bannedUntil} as="in" />
            </>
          )}
      </dd>
    </div>
  )
}

/** One venue alone; the buttons at the top are for all. */
const AccountControls: FC<{ account: AccountView }> = ({ account: { paused, venue } }) => {
  const name = venueName(venue)
  return (
    <p class="account-controls">
      <button
        type="submit"
        form="form-account"
        class="btn small"
        id={`pause-${venue}`}
        name="set"
        value={`${paused ? "resume" : "pause"} ${venue}`}
        title={paused ? "" : "No strategy opens or closes anything on this venue"}
      >
        {paused ? "Resume" : "Pause"} {name}
      </button>
      <button
        type="submit"
        form="form-flatten"
        formnovalidate
        class="btn small"
        id={`flatten-${venue}`}
        name="only"
        value={venue}
        data-open="dialog-flatten"
        data-fill-flatten-account={venue}
        data-say-flatten-what={name}
      >
        Flatten {name}
      </button>
    </p>
  )
}
