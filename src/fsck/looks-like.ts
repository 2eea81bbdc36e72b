/** So much of an object is looked at, in bytes: as much as a manifest has at most by default. */
export const lookedAtBytes = 4 * 1024 * 1024;
/** Where a tar archive says that it is one. */
const tarMark = { at: 257, text: 'ustar' };
const gzipMark = [0x1f, 0x8b];
const zstdMark = [0x28, 0xb5, 0x2f, 0xfd];

/**
 * What an object seems to hold, in words for an operator who has to find out whose it is.
 * @param start its first bytes, up to so many
 */
export function looksLike(start: Uint8Array, sizeBytes: number): string {
  if (gzipMark.every((byte, at) => start[at] === byte)) return 'a layer (gzip)';
  if (zstdMark.every((byte, at) => start[at] === byte)) return 'a layer (zstd)';
  if (Buffer.from(start.subarray(tarMark.at, tarMark.at + tarMark.text.length)).toString('latin1') === tarMark.text)
    return 'a layer (tar)';
  if (sizeBytes <= lookedAtBytes) {
    const json = objectIn(start);
    if (json !== undefined) return ofJson(json);
  }
  return 'something else';
}

function ofJson(json: Readonly<Record<string, unknown>>): string {
  if (Array.isArray(json['manifests'])) return 'an index';
  if (Array.isArray(json['layers'])) return 'a manifest';
  if (typeof json['rootfs'] !== 'object') return 'JSON';
  const platform = [json['os'], json['architecture']]
    .map(word)
    .filter((text) => text !== '')
    .join('/');
  const created = word(json['created']);
  const about = [platform, created === '' ? '' : `created ${created}`].filter((text) => text !== '').join(', ');
  return `the config of an image${about === '' ? '' : ` (${about})`}`;
}

/** What a client has chosen is shown where it is short and plain. */
function word(value: unknown): string {
  return typeof value === 'string' && /^[\w.:+-]{1,40}$/.test(value) ? value : '';
}

function objectIn(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return typeof json === 'object' && json !== null ? { ...json } : undefined;
  } catch {
    return undefined;
  }
}
