import { expect } from 'bun:test';
import type { z } from 'zod';
import { planTheRetention } from '../../src/http/admin/retention-plan.ts';
import type { PolicyDefinition } from '../../src/retention/definition.ts';
import type { ServedRegistry } from '../http/served-registry.ts';

type Line = z.output<typeof planTheRetention.line>;
export type PlannedItem = Extract<Line, { items: unknown }>['items'][number];

/** A plan as the admin API tells it. */
export interface AskedPlan {
  readonly items: readonly PlannedItem[];
  readonly repositories: readonly Extract<Line, { repository: unknown }>['repository'][];
  readonly total: Extract<Line, { total: unknown }>['total'] | undefined;
  readonly policyHash: string;
  /** Why there is none. */
  readonly refusal: string | undefined;
}

export interface AskedFor {
  readonly policies?: readonly PolicyDefinition[];
  readonly repository?: string;
  readonly all?: boolean;
}

/** Asks a registry's admin API for a plan. */
export async function askPlan(registry: ServedRegistry, asked: AskedFor): Promise<AskedPlan> {
  const answer = await registry.admin('POST', '/retention/plan', asked);
  expect(answer.status).toBe(200);
  const lines = (await answer.text())
    .trim()
    .split('\n')
    .map((text) => planTheRetention.line.parse(JSON.parse(text)));
  return {
    items: lines.flatMap((line) => ('items' in line ? line.items : [])),
    repositories: lines.flatMap((line) => ('repository' in line ? [line.repository] : [])),
    total: lines.flatMap((line) => ('total' in line ? [line.total] : [])).at(-1),
    policyHash: lines.flatMap((line) => ('plan' in line ? [line.plan.policyHash] : [])).join(''),
    refusal: lines.flatMap((line) => ('errors' in line ? line.errors.map(({ message }) => message) : [])).at(0),
  };
}

/** What goes, waits or stays, as `REPO:TAG`, or `REPO@DIGEST` where it is under no tag. */
export function namesOf({ items }: AskedPlan, outcome: PlannedItem['outcome']): readonly string[] {
  return items.filter((item) => item.outcome === outcome).map(nameOf);
}

export function nameOf({ repository, tag, digest }: PlannedItem): string {
  return tag === undefined ? `${repository}@${digest}` : `${repository}:${tag}`;
}
