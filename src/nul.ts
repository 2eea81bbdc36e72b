/** The character that PostgreSQL keeps in no text. */
const nul = '\0';

export function hasNul(text: string): boolean {
  return text.includes(nul);
}

/** The text with another character, the one that stands for what cannot be shown, in the place of each NUL. */
export function withoutNul(text: string): string {
  return text.replaceAll(nul, '\uFFFD');
}
