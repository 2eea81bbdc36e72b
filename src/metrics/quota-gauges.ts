import { Gauge, type Registry } from 'prom-client';

/** How a quota for all of its repositories together stands. */
export interface QuotaFigures {
  readonly name: string;
  readonly isCounted: boolean;
  readonly bytes: QuotaFigure;
  readonly tags: QuotaFigure;
}

interface QuotaFigure {
  readonly used: number;
  readonly soft: number | undefined;
  readonly hard: number | undefined;
}

/** Adds the gauges of quotas, which are measured whenever somebody asks. */
export function addQuotaGauges(registry: Registry, measure: () => Promise<readonly QuotaFigures[]>): void {
  const add = (
    { name, help, labelNames }: { name: string; help: string; labelNames: string[] },
    show: (gauge: Gauge, figures: QuotaFigures) => void,
  ): void => {
    const gauge: Gauge = new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      aggregator: 'first',
      async collect() {
        const all = await measure();
        // Another process may have put others in force.
        gauge.reset();
        for (const figures of all) show(gauge, figures);
      },
    });
  };
  const kinds = ['bytes', 'tags'] as const;
  add(
    { name: 'wherry_quota_used', help: 'What is used of a quota, in bytes or tags.', labelNames: ['quota', 'kind'] },
    (gauge, { name: quota, ...figures }) => {
      for (const kind of kinds) gauge.set({ quota, kind }, figures[kind].used);
    },
  );
  add(
    {
      name: 'wherry_quota_limit',
      help: 'What a quota allows, of bytes or tags: soft, which is warned of, and hard.',
      labelNames: ['quota', 'kind', 'limit'],
    },
    (gauge, { name: quota, ...figures }) => {
      for (const kind of kinds) {
        for (const limit of ['soft', 'hard'] as const) {
          const amount = figures[kind][limit];
          if (amount !== undefined) gauge.set({ quota, kind, limit }, amount);
        }
      }
    },
  );
  add(
    {
      name: 'wherry_quota_counted',
      help: 'Whether all that counts in a quota is counted (1), or it is still being counted and refuses nothing (0).',
      labelNames: ['quota'],
    },
    (gauge, { name: quota, isCounted }) => gauge.set({ quota }, isCounted ? 1 : 0),
  );
}
