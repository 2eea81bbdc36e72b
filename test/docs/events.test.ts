import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { listEvents } from '../../src/http/admin/events.ts';
import { projectDirectory } from './documents.ts';

function textOf(...path: readonly string[]): string {
  return readFileSync(join(projectDirectory, ...path), 'utf8');
}

const page = textOf('docs', 'events.md');

test('the page tells of every kind of event, and of no other', () => {
  const [, union = ''] =
    /export type EventKind =\n((?: {2}\| '[a-z.]+';?\n)+)/.exec(textOf('src', 'metadata', 'schema.ts')) ?? [];
  const kinds = [...union.matchAll(/'([a-z.]+)'/g)].map(([, kind]) => kind);
  expect(kinds.length).toBeGreaterThan(30);
  const [, table = ''] = page.split('## Kinds');
  const told = [...table.matchAll(/^\| ([a-z.]+) /gm)].map(([, kind]) => kind);
  expect(new Set(told.filter((kind) => kind !== 'kind'))).toEqual(new Set(kinds));
});

test('the page has every field of an event', () => {
  const { events } = z.toJSONSchema(listEvents.answer, { io: 'input' }).properties ?? {};
  const parsed = z.object({ items: z.object({ properties: z.record(z.string(), z.unknown()) }) }).parse(events);
  const fields = Object.keys(parsed.items.properties);
  expect(fields.filter((field) => !page.includes(`\`${field}\``))).toEqual([]);
});
