import { afterAll, beforeAll, expect, test } from 'bun:test';
import { ServedRegistry } from '../http/served-registry.ts';
import { archive, file } from '../find/archives.ts';
import { pushImage } from './pushed-images.ts';
import { wherry } from './wherry.ts';

/** Clears a terminal, in the two ways in which that is said, and turns the order of letters round. */
const steering = '\u001B[2J\u009B2J\u202E';
const repo = 'team/app';

let registry: ServedRegistry;
beforeAll(async () => {
  registry = await ServedRegistry.start();
  await pushImage(registry, repo, { tags: ['x'], layers: [archive(file(`${steering}.env`))] });
  await registry.admin('POST', '/pins', { target: `${repo}:x`, reason: `kept ${steering}` });
});
afterAll(async () => await registry[Symbol.asyncDispose]());

test.each([
  ['what an operator gave as the reason of a pin, in the events', ['events', '--kind', 'pinned']],
  ['the same as JSON', ['events', '--kind', 'pinned', '--json']],
  ['the same where it is told what holds an image', ['explain', `${repo}:x`]],
  ['the name of a file in a layer', ['find', '*.env']],
  ['the same as JSON', ['find', '*.env', '--json']],
])('%s steers no terminal', async (_, command) => {
  const { out, err } = await wherry(registry.dataDirectory, ...command);
  expect(out.replaceAll('\n', '') + err.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
  expect(out).toContain(String.raw`\u001b[2J\u009b2J\u202e`);
});
