import { digestOf } from '../../src/oci/digest.ts';
import { parseRepositoryName, parseTagName } from '../../src/oci/names.ts';
import { unconditional } from '../../src/registry/precondition.ts';
import { putManifest } from '../../src/registry/manifests/put.ts';
import { pushWholeBlob } from '../../src/registry/uploads/whole.ts';
import { imageOf } from '../../test/http/content.ts';
import { chunkOf } from '../../test/model/chunks.ts';
import { World } from '../../test/model/world.ts';

// What a push costs in the processor, without HTTP and without waiting for a disk: each pushes one blob and a manifest
// of it under a new tag. Run it on two versions to compare them: node scripts/bun.mjs bench/audit/push-cost.ts

const pushes = 3000;
const rounds = 5;
const hour = 3_600_000;
const windows = { leaseMs: hour, neverTaggedMs: hour, trashMs: hour, condemnedMs: hour, uploadMs: hour };
const encoder = new TextEncoder();
const repo = known(parseRepositoryName('team/app'));

for (let round = 0; round < rounds; round += 1) {
  await using world = await World.open({ windows, sparse: { images: false, indexes: false } });
  const { registry } = world;
  let [blobMs, manifestMs] = [0, 0];
  for (let number = 0; number < pushes; number += 1) {
    const blob = encoder.encode(`round ${round}, blob ${number}`);
    const bytes = encoder.encode(JSON.stringify(imageOf(blob)));
    const tag = known(parseTagName(`v${number}`));
    const startedAt = process.cpuUsage();
    await pushWholeBlob(registry, { repo, digest: digestOf('sha256', blob), ...chunkOf(blob) });
    blobMs += cpuMs(startedAt);
    const pushedAt = process.cpuUsage();
    await putManifest(registry, {
      repo,
      reference: { kind: 'tag', tag },
      tags: [tag],
      precondition: unconditional,
      bytes,
      contentType: undefined,
    });
    manifestMs += cpuMs(pushedAt);
  }
  const each = (ms: number): string => `${((ms * 1000) / pushes).toFixed(0)} µs`;
  process.stdout.write(`a blob ${each(blobMs)}, a manifest with a new tag ${each(manifestMs)}\n`);
}

function cpuMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
}

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the bench made a mistake');
  return value;
}
