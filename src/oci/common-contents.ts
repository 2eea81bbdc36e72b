import { type Digest, digestOf } from './digest.ts';

/**
 * Contents that tell nothing and that images of anybody may have in common: no bytes, the empty JSON object, which stands
 * for a config or a layer that there is none of (image-spec, manifest.md, "Guidance for an empty descriptor"), and layers
 * without a file, as the usual builders make them.
 */
const commonContents: ReadonlySet<Digest> = new Set([
  digestOf('sha256', new Uint8Array()),
  digestOf('sha256', Buffer.from('{}')),
  digestOf('sha512', Buffer.from('{}')),
  // The end of an archive, as it is, and in gzip in two ways.
  digestOf('sha256', new Uint8Array(1024)),
  digestOf('sha256', Buffer.from('H4sIAAAJbogA/2IYBaNgFIxYAAgAAP//Lq+17wAEAAA=', 'base64')),
  digestOf('sha256', Buffer.from('H4sIAAAAAAAA/2IYBaNgFIxYAAgAAP//Lq+17wAEAAA=', 'base64')),
]);

export function isCommonContent(digest: Digest): boolean {
  return commonContents.has(digest);
}
