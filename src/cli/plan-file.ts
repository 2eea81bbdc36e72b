import { open } from 'node:fs/promises';
import { z } from 'zod';
import { isJsonObject } from '../oci/json.ts';
import { StartupError } from '../startup-error.ts';
import { planKind, planVersion } from './plan-json.ts';

/** A larger plan is refused, in bytes: it is in memory as a whole. */
const maxPlanBytes = 512 * 1024 * 1024;

const item = z.object({
  repository: z.string(),
  tag: z.string().optional(),
  digest: z.string(),
  outcome: z.enum(['goes', 'waits', 'stays']),
  reason: z.string(),
  pushedAt: z.iso.datetime().optional(),
  taggedAt: z.iso.datetime().optional(),
  pulledAt: z.iso.datetime().optional(),
});

const plan = z.object({
  kind: z.literal(planKind),
  version: z.literal(planVersion),
  madeAt: z.iso.datetime(),
  items: z.array(item),
  repositories: z.array(z.object({ repository: z.string(), mayPruneLastTag: z.boolean() })),
});

/** A plan that `wherry retention plan --out` has written. */
export type PlanFile = z.output<typeof plan>;
export type PlanFileItem = PlanFile['items'][number];

/** @throws StartupError where there is no plan in the file, or none of ours */
export async function readPlanFile(path: string): Promise<PlanFile> {
  let value: unknown;
  try {
    await using file = await open(path);
    if ((await file.stat()).size > maxPlanBytes) {
      throw new StartupError(`${path} is too large: make plans of some repositories each, with --repo`);
    }
    value = JSON.parse(await file.readFile('utf8'));
  } catch (error) {
    if (error instanceof StartupError) throw error;
    const why =
      error instanceof SyntaxError
        ? 'it is not JSON, or was cut short'
        : error instanceof Error
          ? error.message
          : String(error);
    throw new StartupError(`cannot read a plan from ${path}: ${why}`, { cause: error });
  }
  const parsed = plan.safeParse(value);
  if (parsed.success) return parsed.data;
  const [isPlan, version] = isJsonObject(value) ? [value['kind'] === planKind, value['version']] : [false, undefined];
  if (!isPlan) throw new StartupError(`${path} is no plan: make one with "wherry retention plan --out FILE"`);
  if (version !== planVersion) {
    throw new StartupError(
      `${path} was written by another version of wherry, as version ${JSON.stringify(version)} of plans, where this one reads ${planVersion}: make the plan anew`,
    );
  }
  const [issue] = parsed.error.issues;
  const where = issue?.path.join('.') ?? '';
  throw new StartupError(
    `${path} is not as wherry has written it: ${where}: ${issue?.message ?? ''}: make the plan anew`,
  );
}
