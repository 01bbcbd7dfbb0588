/**
 * A part of a URL as its sender meant it; as it came, when it cannot be decoded: then nothing has
 * that name. Whoever asks from outside must never end the venue by a stray `%`.
 */
export function decodedPart(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
