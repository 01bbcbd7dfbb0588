/**
 * Whose account it is. A key that was revoked opens nothing any more, here or at any other door.
 */
export interface Credentials {
  readonly key: string
  readonly secret: string
  isRevoked: boolean
}

export function opens(
  credentials: Credentials,
  key: string | undefined,
  secret: string | undefined,
): boolean {
  return !credentials.isRevoked && key === credentials.key && secret === credentials.secret
}

/** The keys that a request or a handshake carries in its headers. */
export function keysOf(
  headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>,
) {
  return {
    key: headers["apca-api-key-id"]?.toString(),
    secret: headers["apca-api-secret-key"]?.toString(),
  }
}
