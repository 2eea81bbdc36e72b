import { gzipSync } from 'node:zlib';
import { z } from 'zod';
import { type Descriptor, digestOf, ociIndex, ociManifest, parseManifest } from './image-content.ts';
import { ImageLayout } from './image-layout.ts';
import { noise } from './noise.ts';

const configSchema = z.looseObject({
  rootfs: z.object({ type: z.string(), diff_ids: z.array(z.string()) }),
  history: z.array(z.unknown()),
});

/**
 * Makes a layout of an image, or a multi-arch index, that has all layers of another one and a layer of its own besides,
 * so that a push of it always has something new to send.
 */
export async function composeImage(base: ImageLayout, directory: string, ownLayerBytes: number): Promise<ImageLayout> {
  const layout = ImageLayout.create(directory);
  const root = base.root();
  const tar = noise(ownLayerBytes);
  const layer = layout.put('application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(tar, { level: 1 }));
  const extend = async (image: Descriptor): Promise<Descriptor> => extendImage(base, layout, image, { tar, layer });
  if (root.mediaType !== ociIndex) {
    layout.setRoots({ composed: await extend(root) });
    return layout;
  }
  const manifests: Descriptor[] = [];
  for (const child of parseManifest(await base.manifest(root.digest)).manifests ?? []) {
    const { platform } = child;
    manifests.push({ ...(await extend(child)), ...(platform === undefined ? {} : { platform }) });
  }
  layout.setRoots({ composed: layout.putManifest({ mediaType: ociIndex, manifests }) });
  return layout;
}

async function extendImage(
  base: ImageLayout,
  layout: ImageLayout,
  image: Descriptor,
  own: { readonly tar: Uint8Array; readonly layer: Descriptor },
): Promise<Descriptor> {
  const { config, layers = [] } = parseManifest(await base.manifest(image.digest));
  if (config === undefined) throw new Error(`${image.digest} has no config`);
  for (const layer of layers) layout.adopt(base, layer);
  const content: unknown = JSON.parse(new TextDecoder().decode(await base.manifest(config.digest)));
  const ownConfig = layout.put(config.mediaType, JSON.stringify(withLayer(content, digestOf(own.tar))));
  return layout.putManifest({ mediaType: ociManifest, config: ownConfig, layers: [...layers, own.layer] });
}

/** An image's config with one layer more. */
function withLayer(config: unknown, diffId: string): unknown {
  const { rootfs, history, ...others } = configSchema.parse(config);
  return {
    ...others,
    rootfs: { ...rootfs, diff_ids: [...rootfs.diff_ids, diffId] },
    history: [...history, { created: '1970-01-01T00:00:00Z', created_by: 'noise' }],
  };
}
