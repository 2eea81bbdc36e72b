/** What pax headers say of an entry, where a tar header's fields are too small for it (POSIX.1-2001, pax, "Extended Header"). */
export interface PaxRecords {
  readonly path?: Uint8Array;
  readonly linkPath?: Uint8Array;
  /** Of its data in the archive. */
  readonly sizeBytes?: number;
  /** Of a sparse file: its name, and how large it is once it is unpacked (GNU). */
  readonly sparseName?: Uint8Array;
  readonly sparseSizeBytes?: number;
}

const space = 0x20;
const equals = 0x3d;
const newline = 0x0a;
/** The digits of a record's length. */
const mostDigits = 8;

/** Reads the records `LENGTH KEY=VALUE\n` of a pax header. Undefined where they are none. An empty value takes nothing back here. */
export function parsePaxRecords(bytes: Uint8Array): PaxRecords | undefined {
  const records: PaxRecords = {};
  for (let at = 0; at < bytes.byteLength;) {
    // Some fill the rest with zeros.
    if (bytes[at] === 0) break;
    const lengthEnd = bytes.subarray(at, at + mostDigits + 1).indexOf(space);
    const digits = Buffer.from(bytes.subarray(at, at + Math.max(0, lengthEnd))).toString('latin1');
    const length = /^\d+$/.test(digits) ? Number(digits) : 0;
    const record = bytes.subarray(at + lengthEnd + 1, at + length);
    const keyEnd = record.indexOf(equals);
    if (length <= lengthEnd + 1 || at + length > bytes.byteLength || record.at(-1) !== newline || keyEnd < 1) {
      return undefined;
    }
    const key = Buffer.from(record.subarray(0, keyEnd)).toString('latin1');
    Object.assign(records, recordOf(key, record.slice(keyEnd + 1, -1)));
    at += length;
  }
  return records;
}

function recordOf(key: string, value: Uint8Array): PaxRecords {
  if (value.byteLength === 0) return {};
  switch (key) {
    case 'path':
      return { path: value };
    case 'linkpath':
      return { linkPath: value };
    case 'size':
      return sizeRecord(value, (sizeBytes) => ({ sizeBytes }));
    case 'GNU.sparse.name':
      return { sparseName: value };
    case 'GNU.sparse.size':
    case 'GNU.sparse.realsize':
      return sizeRecord(value, (sparseSizeBytes) => ({ sparseSizeBytes }));
    default:
      return {};
  }
}

function sizeRecord(value: Uint8Array, recordFor: (sizeBytes: number) => PaxRecords): PaxRecords {
  const text = Buffer.from(value).toString('latin1');
  const sizeBytes = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(sizeBytes) ? recordFor(sizeBytes) : {};
}
