import { expect } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { z } from 'zod';
import { jsonLines } from '../../src/json-lines.ts';
import type { ServedRegistry } from '../http/served-registry.ts';

/** Asks the admin API, as the operator, for something that it answers in lines. */
export async function askForLines(
  registry: ServedRegistry,
  path: string,
  body: object,
  signal?: AbortSignal,
): Promise<Response> {
  const token = readFileSync(join(registry.dataDirectory, 'admin.token'), 'utf8').trim();
  return await registry.send(`/admin/v1${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
    ...(signal && { signal }),
  });
}

/** The lines of an answer as they come, each of which has to be as the endpoint describes it. */
export async function* linesOf<Line extends z.ZodType>(
  { line }: { readonly line: Line },
  answer: Response,
): AsyncGenerator<z.output<Line>, void, undefined> {
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe('application/x-ndjson');
  if (answer.body === null) throw new Error('the answer is empty');
  for await (const one of jsonLines(answer.body)) yield line.parse(one);
}
