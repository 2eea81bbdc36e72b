import { expect } from 'bun:test';
import type { z } from 'zod';
import { simulateTheRetention } from '../../src/http/admin/retention-simulate.ts';
import type { PolicyDefinition } from '../../src/retention/definition.ts';
import type { ServedRegistry } from '../http/served-registry.ts';

type Line = z.output<typeof simulateTheRetention.line>;

/** A simulation as the admin API tells it. */
export interface AskedSimulation {
  readonly head: Extract<Line, { simulation: unknown }>['simulation'] | undefined;
  readonly repositories: readonly Extract<Line, { repository: unknown }>['repository'][];
  readonly days: readonly Extract<Line, { days: unknown }>['days'][number][];
  readonly broken: readonly Extract<Line, { broken: unknown }>['broken'][number][];
  readonly total: Extract<Line, { total: unknown }>['total'] | undefined;
  /** Why there is none. */
  readonly refusal: string | undefined;
}

export interface AskedFor {
  readonly policies?: readonly PolicyDefinition[];
  readonly repository?: string;
  readonly since?: string;
}

/** Asks a registry's admin API for a simulation. */
export async function askSimulation(registry: ServedRegistry, asked: AskedFor): Promise<AskedSimulation> {
  const answer = await registry.admin('POST', '/retention/simulate', asked);
  expect(answer.status).toBe(200);
  const lines = (await answer.text())
    .trim()
    .split('\n')
    .map((text) => simulateTheRetention.line.parse(JSON.parse(text)));
  return {
    head: lines.flatMap((line) => ('simulation' in line ? [line.simulation] : [])).at(0),
    repositories: lines.flatMap((line) => ('repository' in line ? [line.repository] : [])),
    days: lines.flatMap((line) => ('days' in line ? line.days : [])),
    broken: lines.flatMap((line) => ('broken' in line ? line.broken : [])),
    total: lines.flatMap((line) => ('total' in line ? [line.total] : [])).at(-1),
    refusal: lines.flatMap((line) => ('errors' in line ? line.errors.map(({ message }) => message) : [])).at(0),
  };
}
