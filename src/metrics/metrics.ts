import { AggregatorRegistry, collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import { z } from 'zod';
import type { Meetings } from '../metadata/store.ts';
import { noSiblings, type Siblings } from '../registry/siblings.ts';
import type { StorageFigures } from '../bounds/storage-figures.ts';
import type { Collected } from '../collector/review.ts';
import type { Pruned } from '../pruning/prune-repository.ts';
import { DurationHistogram } from './duration-histogram.ts';
import { addQuotaGauges, type QuotaFigures } from './quota-gauges.ts';
import { RequestTally } from './request-tally.ts';

/** Upper bounds of the histogram of durations, in seconds: from a manifest out of memory to a layer over a slow line. */
const durationBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30, 120];

/** A client may send any word as a method: those beyond these share one series. */
const knownMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** What is measured when somebody asks for the metrics. */
export interface StoreFigures extends Partial<StorageFigures> {
  readonly openUploads: number;
  readonly liveBlobs: number;
  readonly liveBytes: number;
  readonly databaseBytes: number;
  readonly diskFreeBytes: number;
  readonly diskTotalBytes: number;
  /** 1 where the database is older than the blobs, else 0. */
  readonly databaseOutdated: number;
  readonly dueReviews: number;
  readonly oldestDueSeconds: number;
  readonly collectorPaused: number;
  readonly policiesWaiting: number;
  readonly pruningPaused: number;
}

/** The counters behind /metrics. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requests = new RequestTally(durationBuckets);
  /** Apart, as the library can write it out, but not add it up with that of other processes. */
  readonly #durationRegistry = new Registry();
  readonly #durations = new DurationHistogram(this.#requests, durationBuckets);
  readonly #pulledBytes: Counter;
  readonly #pushedBytes: Counter;
  #showsQuotas = false;
  readonly #collected: Counter<'kind'>;
  readonly #failedReviews: Counter;
  readonly #reclaimedBytes: Counter;
  readonly #pruned: Counter<'kind'>;
  readonly #prunedBytes: Counter;
  readonly #figures: () => Promise<StoreFigures>;

  readonly #siblings: Siblings;

  /** @param siblings processes that count as well */
  constructor(figures: () => Promise<StoreFigures>, siblings: Siblings = noSiblings) {
    this.#figures = figures;
    this.#siblings = siblings;
    siblings.hear('metrics', () => this.#figuresOfProcess());
    const registers = [this.#registry];
    const requests = this.#requests;
    const answered = new Counter({
      name: 'wherry_http_requests_total',
      help: 'Requests answered, by route, method and status.',
      labelNames: ['route', 'method', 'status'],
      registers: [],
      collect() {
        this.reset();
        for (const { route, method, statuses } of requests) {
          for (const [status, count] of statuses) this.inc({ route, method, status }, count);
        }
      },
    });
    this.#registry.registerMetric(answered);
    this.#durationRegistry.registerMetric(this.#durations);
    this.#pulledBytes = new Counter({
      name: 'wherry_pulled_bytes_total',
      help: 'Bytes of manifests and blobs in answers, whether the client took them all or not.',
      registers,
    });
    this.#pushedBytes = new Counter({
      name: 'wherry_pushed_bytes_total',
      help: 'Bytes of manifests and blobs received.',
      registers,
    });
    this.#collected = new Counter({
      name: 'wherry_collected_total',
      help: 'What the collector has taken away: manifests, links of blobs to repositories, blobs that nothing links, uploads; and files removed.',
      labelNames: ['kind'],
      registers,
    });
    this.#reclaimedBytes = new Counter({
      name: 'wherry_reclaimed_bytes_total',
      help: 'Bytes of files that the collector has removed.',
      registers,
    });
    this.#pruned = new Counter({
      name: 'wherry_pruned_total',
      help: 'What retention policies have moved into the trash: tags, and manifests under none.',
      labelNames: ['kind'],
      registers,
    });
    this.#prunedBytes = new Counter({
      name: 'wherry_pruned_bytes_total',
      help: 'Bytes that this gives back once the time in the trash is over.',
      registers,
    });
    this.#failedReviews = new Counter({
      name: 'wherry_collector_failures_total',
      help: 'Reviews that failed and are tried again.',
      registers,
    });
    this.#addGauges(registers);
    collectDefaultMetrics({ register: this.#registry, prefix: 'wherry_' });
  }

  #addGauges(registers: Registry[]): void {
    const gauges: readonly [name: keyof StoreFigures, metric: string, help: string][] = [
      ['openUploads', 'wherry_open_uploads', 'Upload sessions under way.'],
      ['liveBlobs', 'wherry_blobs', 'Blobs held.'],
      ['liveBytes', 'wherry_blob_bytes', 'Bytes of blobs held, each counted once.'],
      ['databaseBytes', 'wherry_database_bytes', 'Bytes of the database on the disk.'],
      ['diskFreeBytes', 'wherry_disk_free_bytes', 'Bytes free on the disk of the data directory.'],
      [
        'databaseOutdated',
        'wherry_database_outdated',
        'Whether the database is older than the blobs, so that nothing is collected until wherry fsck --repair.',
      ],
      ['diskTotalBytes', 'wherry_disk_total_bytes', 'Size in bytes of the disk of the data directory.'],
      [
        'dueReviews',
        'wherry_collector_due_reviews',
        'Reviews that the collector should have made by now; 10000 may be more.',
      ],
      ['oldestDueSeconds', 'wherry_collector_oldest_due_seconds', 'For how long the first of those has been due.'],
      ['collectorPaused', 'wherry_collector_paused', 'Whether the collector is paused (1) or not (0).'],
      ['policiesWaiting', 'wherry_retention_policies_waiting', 'Retention policies that wait for approval.'],
      [
        'pruningPaused',
        'wherry_retention_paused',
        'Whether nothing is pruned for a while, since the clock was set (1), or not (0).',
      ],
      [
        'storageUsedBytes',
        'wherry_storage_used_bytes',
        'What storage.high bounds: bytes used of the disk, or stored by the registry.',
      ],
      ['storageHighBytes', 'wherry_storage_high_bytes', 'storage.high in bytes; NaN where it is off.'],
      ['storageLowBytes', 'wherry_storage_low_bytes', 'storage.low in bytes; NaN where storage.high is off.'],
      ['storageReserveBytes', 'wherry_storage_reserve_bytes', 'storage.reserve in bytes.'],
      [
        'storageOverHigh',
        'wherry_storage_over_high',
        'Whether storage.high was passed (1), until there is room again (0).',
      ],
      [
        'storageUnderReserve',
        'wherry_storage_under_reserve',
        'Whether less is free than storage.reserve (1) or not (0).',
      ],
      ['storageStuck', 'wherry_storage_stuck', 'Whether room is needed and no more can be made (1) or not (0).'],
      ['uploadBytes', 'wherry_storage_upload_bytes', 'Bytes of uploads under way.'],
      [
        'condemnedBytes',
        'wherry_storage_condemned_bytes',
        'Bytes that nothing links, until windows.condemned is over.',
      ],
      ['deadBytes', 'wherry_storage_dead_bytes', 'Bytes that are about to be removed.'],
      [
        'sharedSavedBytes',
        'wherry_storage_shared_saved_bytes',
        'Bytes saved by sharing between repositories, some minutes ago.',
      ],
      ['trashBytes', 'wherry_storage_trash_bytes', 'What emptying the trash would free at most, some minutes ago.'],
      [
        'trashEntries',
        'wherry_storage_trash_entries',
        'Tags and manifests in the trash, some minutes ago; 10000 may be more.',
      ],
      [
        'freedWithinHourBytes',
        'wherry_storage_freed_within_hour_bytes',
        'What is freed by itself within an hour at most, some minutes ago.',
      ],
      [
        'freedWithinDayBytes',
        'wherry_storage_freed_within_day_bytes',
        'What is freed by itself within a day at most, some minutes ago.',
      ],
      [
        'highInSeconds',
        'wherry_storage_high_in_seconds',
        'When storage.high is passed at the present rate; +Inf where it is not, NaN where no rate is known.',
      ],
      [
        'fullInSeconds',
        'wherry_storage_full_in_seconds',
        'When new uploads will be refused at the present rate; +Inf where they are not, NaN where no rate is known.',
      ],
    ];
    const measured = gauges.map(([figure, name, help]) => ({
      figure,
      gauge: new Gauge({ name, help, registers, aggregator: 'first' }),
    }));
    this.#setGauges = (figures) => {
      for (const { figure, gauge } of measured) gauge.set(figures[figure] ?? Number.NaN);
    };
  }

  #setGauges: (figures: StoreFigures) => void = () => undefined;

  /** Counts what retention policies have moved into the trash. */
  pruned({ tags, manifests, bytes }: Pruned): void {
    this.#pruned.inc({ kind: 'tag' }, tags);
    this.#pruned.inc({ kind: 'manifest' }, manifests);
    this.#prunedBytes.inc(bytes);
  }

  /** Counts an answered request. */
  answered(route: string, method: string, status: number, durationMs: number): void {
    const known = knownMethods.has(method) ? method : 'other';
    this.#requests.add(route, known, status, durationMs / 1000);
  }

  collected({ manifests = 0, links = 0, blobs = 0, uploads = 0 }: Collected): void {
    for (const [kind, count] of Object.entries({ manifest: manifests, link: links, blob: blobs, upload: uploads })) {
      if (count > 0) this.#collected.inc({ kind }, count);
    }
  }

  reclaimed(objects: number, sizeBytes: number): void {
    this.#collected.inc({ kind: 'file' }, objects);
    this.#reclaimedBytes.inc(sizeBytes);
  }

  failed(): void {
    this.#failedReviews.inc();
  }

  pulled(sizeBytes: number): void {
    this.#pulledBytes.inc(sizeBytes);
  }

  pushed(sizeBytes: number): void {
    this.#pushedBytes.inc(sizeBytes);
  }

  /** Shows what is used of quotas from the first call on. @param measure is called whenever somebody asks */
  watchQuotas(measure: () => Promise<readonly QuotaFigures[]>): void {
    if (this.#showsQuotas) return;
    this.#showsQuotas = true;
    addQuotaGauges(this.#registry, measure);
  }

  /** Shows how often transactions of this process have met others of the database, and ran again. */
  watchMeetings(meetings: () => Partial<Meetings>): void {
    const counter = new Counter({
      name: 'wherry_database_meetings_total',
      help: 'Transactions that met another in the database and were undone, nearly all of which ran again: by serialization, deadlock or constraint.',
      labelNames: ['kind'],
      registers: [],
      collect() {
        this.reset();
        for (const [kind, count] of Object.entries(meetings())) this.inc({ kind }, count);
      },
    });
    this.#registry.registerMetric(counter);
  }

  /** Shows for how long the server's certificate is still valid, in seconds. */
  watchCertificate(secondsLeft: () => number): void {
    const gauge = new Gauge({
      name: 'wherry_tls_certificate_expires_seconds',
      help: 'Seconds until the certificate that is shown to clients expires; negative once it has.',
      registers: [],
      aggregator: 'first',
      collect() {
        this.set(secondsLeft());
      },
    });
    this.#registry.registerMetric(gauge);
  }

  /** All metrics in Prometheus's text format: what processes count, of all of them together. */
  async text(): Promise<{ readonly contentType: string; readonly text: string }> {
    this.#setGauges(await this.#figures());
    const { contentType } = this.#registry;
    const ofOthers = await this.#siblings.ask('metrics', null);
    if (ofOthers.length === 0) {
      const texts = await Promise.all([this.#registry.metrics(), this.#durationRegistry.metrics()]);
      return { contentType, text: texts.join('\n') };
    }
    // What is measured, such as the disk, comes from the first.
    const all = AggregatorRegistry.aggregate([
      await this.#figuresOfProcess(),
      ...ofOthers.map((figures) => aggregatable.parse(figures)),
    ]);
    return { contentType, text: await all.metrics() };
  }

  /** What this process has counted and measured, as the library adds it up. */
  async #figuresOfProcess(): Promise<z.infer<typeof aggregatable>> {
    return aggregatable.parse([...(await this.#registry.getMetricsAsJSON()), await this.#durations.getForPromString()]);
  }
}

const aggregatable = z.array(
  z.object({
    name: z.string(),
    help: z.string(),
    type: z.string(),
    aggregator: z.string(),
    values: z.array(
      z.object({
        metricName: z.string().optional(),
        labels: z.record(z.string(), z.union([z.string(), z.number()])),
        // Also what is no number, or infinite.
        value: z.custom<number>((value) => typeof value === 'number'),
      }),
    ),
  }),
);
