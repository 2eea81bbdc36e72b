import { types } from 'pg';

/** Types of columns whose values are to be as SQLite gives them; all numbers are below 2^53. */
const parsers: Readonly<Record<number, (text: string) => unknown>> = {
  [types.builtins.BOOL]: (text) => (text === 't' ? 1 : 0),
  [types.builtins.BYTEA]: (text) => Uint8Array.fromHex(text.slice(2)),
  [types.builtins.INT4]: Number,
  [types.builtins.INT8]: Number,
  [types.builtins.NUMERIC]: Number,
};

const asItIs = (text: string) => text;

/** How the values of rows are read: everything but the types above is text. */
export const rowTypes = { getTypeParser: (oid: number): ((text: string) => unknown) => parsers[oid] ?? asItIs };
