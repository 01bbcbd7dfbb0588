/** The accounts: are their books agreed with the venue, and what lies there. */
import type { FC } from "hono/jsx"
import type { AccountView } from "../domain/overview.ts"
import { Empty } from "./card.tsx"
import { quantity } from "./format.ts"
import type { PageView } from "./page_view.ts"
import { accountShape, Dot, linkShape } from "./status.tsx"
import { Elapsed } from "./time.tsx"

export const Accounts: FC<{ view: PageView }> = ({ view: { overview } }) =>
  overview.accounts.length === 0
    ? <Empty title="No account yet">It appears when the venue has answered.</Empty>
    : (
      <>
        {overview.accounts.map((account) => <Account key={account.venue} account={account} />)}
      </>
    )

const Account: FC<{ account: AccountView }> = ({ account }) => (
  <div class="account" id={`account-${account.venue}`}>
    <p class="feed-head">
      <Dot shape={accountShape(account.status)} />
      <b>{account.label}</b>
      <span>{account.status}</span>
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
    </dl>
    <dl class="holdings">
      {account.cash.map(({ asset, quantity: held }) => (
        <div key={asset}>
          <dt>{asset}</dt>
          <dd>{quantity(held)}</dd>
        </div>
      ))}
      {account.dust.length > 0 && (
        <div class="dust" title="Too small for the venue to sell">
          <dt>Dust</dt>
          <dd>{account.dust.map(({ asset, quantity: held }) => `${held} ${asset}`).join(", ")}</dd>
        </div>
      )}
    </dl>
  </div>
)
