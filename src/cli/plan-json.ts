import type { z } from 'zod';
import type { planTheRetention } from '../http/admin/retention-plan.ts';

type Line = z.output<typeof planTheRetention.line>;
type RepositorySums = Extract<Line, { repository: unknown }>['repository'];

/** What a plan tells, but for how far it has come. */
export type PlanLine = Exclude<Line, { errors: unknown } | { progress: unknown }>;

/** What a file with a plan says that it is, so that no other is taken for one. */
export const planKind = 'wherry retention plan';
/** Grows when what is in it means something else than before. */
export const planVersion = 1;

/** Writes a plan as one JSON text, each item on a line, while it comes. */
export class PlanJson {
  readonly #repositories: RepositorySums[] = [];
  #hasItems = false;

  /** The text that a line adds; after the last one it is whole. */
  add(line: PlanLine): string {
    if ('plan' in line) {
      const { madeAt, policyHash } = line.plan;
      const fields = Object.entries({ kind: planKind, version: planVersion, madeAt, policyHash });
      return `{\n${fields.map(([name, value]) => `  "${name}": ${JSON.stringify(value)},\n`).join('')}  "items": [`;
    }
    if ('items' in line) {
      return line.items.map((item) => this.#separator() + JSON.stringify(item)).join('');
    }
    if ('repository' in line) {
      this.#repositories.push(line.repository);
      return '';
    }
    const repositories = this.#repositories.map((sums) => `\n    ${JSON.stringify(sums)}`).join(',');
    return `\n  ],\n  "repositories": [${repositories}\n  ],\n  "total": ${JSON.stringify(line.total)}\n}\n`;
  }

  #separator(): string {
    const separator = this.#hasItems ? ',\n    ' : '\n    ';
    this.#hasItems = true;
    return separator;
  }
}
