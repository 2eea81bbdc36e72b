import type { Log } from '../log/log.ts';
import { all, change, first, type Operation } from '../metadata/operation.ts';
import { insertQuota, placeQuota, quotaRevision, quotasInForce, retireQuota } from '../metadata/queries/quotas.ts';
import type { QuotaPhase } from '../metadata/schema.ts';
import type { Begun, MetadataStore } from '../metadata/store.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Quota, Quotas, QuotasInForce } from '../registry/quotas.ts';
import { type ConfiguredQuota, QuotaSet } from './quota-set.ts';

/**
 * Puts quotas in force, before anything else is done with the registry: the database knows them from here on. What is
 * counted for the same repositories as before stays counted, whatever the name, the limits and the place are now; for
 * others the count begins anew.
 *
 * @param set undefined where nothing is limited
 * @returns whether others were in force before
 */
export async function putInForce(metadata: MetadataStore, set: QuotaSet | undefined): Promise<boolean> {
  const quotas = set?.quotas ?? [];
  const stored = await metadata.read(() => all(quotasInForce, {}));
  const isSame =
    stored.length === quotas.length &&
    quotas.every(
      ({ repositoriesHash, settings }, position) =>
        stored[position]?.repositories_hash === repositoriesHash && stored[position].settings === settings,
    );
  if (isSame) return false;
  const put = function* put(): Operation<void> {
    const before = yield* all(quotasInForce, {});
    for (const { number } of before) yield* change(retireQuota, { number });
    const kept = new Set<number>();
    for (const { position, repositoriesHash: hash, settings } of quotas) {
      // Two that no repository comes to may have the same.
      const known = before.find((row) => row.repositories_hash === hash && !kept.has(row.number));
      if (known === undefined) {
        yield* change(insertQuota, { position, hash, settings });
        continue;
      }
      kept.add(known.number);
      yield* change(placeQuota, { number: known.number, position, settings, phase: known.phase });
    }
  };
  await metadata.write(put, { fromReserve: true, whileReadOnly: true });
  return true;
}

/** A quota that is in force, and how far it is counted. */
export interface QuotaInForce extends ConfiguredQuota {
  readonly number: number;
  readonly phase: QuotaPhase;
  readonly cursor: { readonly repo: string; readonly item: string };
}

/** The quotas that are in force, in their order: a repository is under the first that has a glob for it. */
export class SetInForce implements Quotas {
  readonly quotas: readonly QuotaInForce[];

  constructor(quotas: readonly QuotaInForce[]) {
    this.quotas = quotas;
  }

  of(repo: RepositoryName): QuotaInForce | undefined {
    return this.quotas.find(({ repositories }) => repositories.some((glob) => glob.matches(repo)));
  }
}

/** The quotas that are in force in a transaction. @throws where the database has some that make no sense */
export function* setInForce(): Operation<SetInForce> {
  const rows = yield* all(quotasInForce, {});
  const parsed = QuotaSet.parse(rows.map(({ settings }): unknown => JSON.parse(settings)));
  if (!parsed.ok) throw new Error(`the database has quotas that make no sense: ${parsed.problems.join('; ')}`);
  const quotas = rows.flatMap(({ number, phase, cursor_repo: repo, cursor_item: item }, position) => {
    const quota = parsed.set.quotas[position];
    return quota === undefined ? [] : [{ ...quota, number, phase, cursor: { repo, item } }];
  });
  return new SetInForce(quotas);
}

interface Known {
  readonly revision: number | undefined;
  readonly set: SetInForce;
}

/**
 * The quotas in force, as the database has them. What was read is remembered with its number, which every transaction that
 * writes sees as it begins: as long as that is the same, nothing is read again.
 */
export class StoredQuotas implements QuotasInForce {
  readonly #metadata: MetadataStore;
  readonly #log: Log;
  #known: Known;
  /** As some transaction has seen it last, be it one that is undone. */
  #latest: SetInForce;
  #isReading = false;
  #watcher: (set: SetInForce) => void = () => undefined;

  private constructor(metadata: MetadataStore, log: Log, known: Known) {
    this.#metadata = metadata;
    this.#log = log;
    this.#known = known;
    this.#latest = known.set;
  }

  static async open(metadata: MetadataStore, log: Log): Promise<StoredQuotas> {
    return new StoredQuotas(metadata, log, await metadata.read(readInForce));
  }

  of(repo: RepositoryName): Quota | undefined {
    return this.#latest.of(repo);
  }

  *at(begun?: Begun): Operation<Quotas> {
    const { revision, set } = this.#known;
    if (revision !== undefined && begun?.quotaRevision === revision) return set;
    // What this transaction sees may be undone with others that share it, and is not remembered.
    const seen = yield* setInForce();
    this.#latest = seen;
    if (begun !== undefined) this.#readSoon();
    return seen;
  }

  /** Calls back now with those that are known, and whenever others are. */
  watch(watcher: (set: SetInForce) => void): void {
    this.#watcher = watcher;
    watcher(this.#known.set);
  }

  #readSoon(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    // Not in the midst of the transaction that has found them to be others.
    setImmediate(() => void this.#read());
  }

  async #read(): Promise<void> {
    try {
      const before = this.#known;
      this.#known = await this.#metadata.read(readInForce);
      const { set } = this.#known;
      this.#latest = set;
      if (textOf(before.set) === textOf(set)) return;
      const quotas = set.quotas.map(({ name }) => name);
      this.#watcher(set);
      this.#log.info({ quotas }, 'a process that has started since has put other quotas in force: they count here too');
    } catch (error) {
      // Whoever needs them meanwhile reads them for itself.
      this.#log.warn({ err: error }, 'it could not be read which quotas are in force; trying again');
    } finally {
      this.#isReading = false;
    }
  }
}

function* readInForce(): Operation<Known> {
  const row = yield* first(quotaRevision, {});
  return { revision: row?.revision, set: yield* setInForce() };
}

function textOf({ quotas }: SetInForce): string {
  return JSON.stringify(quotas.map(({ settings }) => settings));
}
