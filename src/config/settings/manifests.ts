import { byteSize, choice } from '../setting-types.ts';
import { setting } from './setting.ts';

export const permission = choice(['allow', 'refuse']);

export const manifestsSettings = {
  manifestsMaxSize: setting({
    name: 'manifests.maxSize',
    type: byteSize({ min: '4MiB', max: '64MiB' }),
    default: '4MiB',
    description:
      'The largest manifest that can be pushed. The distribution specification asks every registry to take 4 MiB; ' +
      'clients may refuse to pull more.',
  }),
  manifestsSparseImages: setting({
    name: 'manifests.sparse.images',
    type: permission,
    default: 'refuse',
    description:
      'Whether an image manifest may be pushed before its config and layers. Refused, such a push is answered ' +
      'MANIFEST_BLOB_UNKNOWN with the digests that are missing; allowed, they count as soon as they come.',
  }),
  manifestsSparseIndexes: setting({
    name: 'manifests.sparse.indexes',
    type: permission,
    default: 'refuse',
    description:
      'Whether an index may be pushed without all of the manifests that it lists. Mirrors that copy some platforms of ' +
      'an image need this allowed.',
  }),
};
