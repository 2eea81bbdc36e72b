const longestQuote = 100;

// What JSON leaves as it is, but what would break a line or reorder it on a terminal.
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;
const unescapedByJson = /[\u007f-\u009f\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/**
 * Quotes what a client sent, for a message: control characters are escaped, and what is long is cut, so that a message
 * stays one readable line whatever came.
 */
export function quote(text: string): string {
  const cut = text.length <= longestQuote ? text : text.slice(0, longestQuote);
  const quoted = printable(JSON.stringify(cut));
  return cut === text ? quoted : `${quoted}…`;
}

/** What a client sent, whole and as it is, but for what would break a line or steer a terminal, which is escaped. */
export function printable(text: string): string {
  return text.replace(unprintable, escaped);
}

/** Whole lines of text: all but their ends is escaped as in `printable`. */
export function printableLines(text: string): string {
  return text.replace(unprintable, (character) => (character === '\n' ? character : escaped(character)));
}

/** JSON of the same meaning, in which nothing is left that a terminal acts upon: JSON itself escapes no more than U+001F. */
export function printableJson(json: string): string {
  return json.replace(unescapedByJson, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
