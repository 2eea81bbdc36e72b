import type { FilledImage } from './filled-directory.ts';
import type { CountedRegistry } from './in-process.ts';

/** What the delete of one image has cost, with all that it led to. */
export interface DeleteCost {
  readonly ms: number;
  readonly statements: number;
  readonly rows: number;
}

/** Deletes an image's tag over HTTP and has everything collected that nothing holds any more. */
export async function deleteImage({ server, metadata }: CountedRegistry, image: FilledImage): Promise<DeleteCost> {
  metadata.take();
  const startedAt = performance.now();
  const url = new URL(`/v2/${image.repository}/manifests/${image.tag}`, server.url);
  const answer = await fetch(url, { method: 'DELETE' });
  if (answer.status !== 202) throw new Error(`DELETE ${url.pathname} was answered with ${answer.status}`);
  await server.collector.workOff();
  return { ms: performance.now() - startedAt, ...metadata.take() };
}
