import { expect, setDefaultTimeout, test } from 'bun:test';
import { SqueezedRegistry } from './squeezed-registry.ts';
import { runStorm } from './storm-process.ts';

const load = ['--lease', '1s', '--seed', '1'];

setDefaultTimeout(180_000);

test('a registry without the lease does not pass the storm', async () => {
  await using registry = await SqueezedRegistry.start({ 'windows-lease': '0' });
  const { code, report } = await runStorm(registry, ...load, '--duration', '60s', '--fail-fast');
  expect(code).toBe(1);
  expect(report.wrong.map(({ what }) => what)).toContain('PUT manifest refused for what the client has seen: 404');
});

test('a registry whose manifests hold their blobs by no foreign key does not pass the storm', async () => {
  await using registry = await SqueezedRegistry.start();
  await registry.stop();
  // A manifest's edge refers to its link by this column; where it is empty, nothing refuses to take the link away.
  const reset = 'update manifest_blob set link_digest = null where link_digest is not null';
  const ofThisEdge = 'and repo = new.repo and manifest = new.manifest and digest = new.digest';
  registry.change(
    `create trigger unheld_inserts after insert on manifest_blob begin ${reset} ${ofThisEdge}; end`,
    `create trigger unheld_updates after update on manifest_blob begin ${reset} ${ofThisEdge}; end`,
  );
  await registry.resume();
  const { code, report } = await runStorm(registry, ...load, '--duration', '10s');
  expect(code).toBe(1);
  expect(report.lost.length).toBeGreaterThan(0);
  expect(report.wrong.map(({ what }) => what)).toContain('something of an image is gone');
});
