/** No file system of the clients takes a longer path, in bytes (PATH_MAX). */
const longestPathBytes = 4096;

/**
 * The path of an entry below the root of its image, as a client that unpacks it would make it: without `.`, `..`, empty
 * components and slashes at its ends. What is not UTF-8 is shown escaped: `caf\xe9`. Of one that no file system takes, the end.
 */
export function entryPath(name: Uint8Array): string {
  const components: string[] = [];
  for (const component of nameText(name).split('/')) {
    if (component === '..') components.pop();
    else if (component !== '' && component !== '.') components.push(component);
  }
  return components.join('/');
}

/** A name as it stands, as text. */
export function nameText(name: Uint8Array): string {
  const bytes = name.subarray(-longestPathBytes);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return Buffer.from(bytes)
      .toString('latin1')
      .replaceAll(/[\u0080-\u00FF]/g, (character) => `\\x${character.charCodeAt(0).toString(16)}`);
  }
}
