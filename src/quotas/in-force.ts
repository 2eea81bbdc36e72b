import { all, change, type Operation } from '../metadata/operation.ts';
import { insertQuota, placeQuota, quotasInForce, retireQuota } from '../metadata/queries/quotas.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { QuotaSet } from './quota-set.ts';

/**
 * Puts quotas in force, before anything else is done with the registry: the database knows them from here on. What is
 * counted for the same repositories as before stays counted, whatever the name, the limits and the place are now; for
 * others the count begins anew.
 *
 * @param set undefined where nothing is limited
 */
export async function putInForce(metadata: MetadataStore, set: QuotaSet | undefined): Promise<void> {
  const quotas = set?.quotas ?? [];
  const stored = await metadata.read(() => all(quotasInForce, {}));
  const isSame =
    stored.length === quotas.length &&
    quotas.every(
      ({ repositoriesHash, settings }, position) =>
        stored[position]?.repositories_hash === repositoriesHash && stored[position].settings === settings,
    );
  if (isSame) return;
  const put = function* put(): Operation<void> {
    const before = yield* all(quotasInForce, {});
    for (const { number } of before) yield* change(retireQuota, { number });
    for (const { position, repositoriesHash: hash, settings } of quotas) {
      const known = before.find((row) => row.repositories_hash === hash);
      if (known === undefined) yield* change(insertQuota, { position, hash, settings });
      else yield* change(placeQuota, { number: known.number, position, settings, phase: known.phase });
    }
  };
  await metadata.write(put, { fromReserve: true, whileReadOnly: true });
}

/**
 * The quotas that are in force, for whoever has the registry without its server: the configuration at hand may be another
 * one, and what is changed has to be counted all the same. Undefined where nothing is limited.
 */
export async function quotasOf(metadata: MetadataStore): Promise<QuotaSet | undefined> {
  const stored = await metadata.read(() => all(quotasInForce, {}));
  if (stored.length === 0) return undefined;
  const parsed = QuotaSet.parse(stored.map(({ settings }): unknown => JSON.parse(settings)));
  if (!parsed.ok) throw new Error(`the database has quotas that make no sense: ${parsed.problems.join('; ')}`);
  return parsed.set;
}
