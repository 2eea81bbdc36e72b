/** A JSON object whose fields nobody has looked at. */
export interface JsonObject {
  readonly [field: string]: unknown;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An object whose fields are all strings. */
export function isStringRecord(value: unknown): value is Readonly<Record<string, string>> {
  return isJsonObject(value) && Object.values(value).every((field) => typeof field === 'string');
}

export type JsonObjectParse =
  { readonly ok: true; readonly object: JsonObject } | { readonly ok: false; readonly message: string };

// A byte order mark is left in, for JSON.parse to refuse: RFC 8259 section 8.1 forbids it, and clients don't read it.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads bytes that should be a JSON object in UTF-8. Never throws, not even on nesting deeper than the stack. */
export function parseJsonObject(bytes: Uint8Array): JsonObjectParse {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return { ok: false, message: 'it is not UTF-8' };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { ok: false, message: `it is not JSON that can be read: ${error instanceof Error ? error.message : ''}` };
  }
  return isJsonObject(value) ? { ok: true, object: value } : { ok: false, message: 'it is not a JSON object' };
}
