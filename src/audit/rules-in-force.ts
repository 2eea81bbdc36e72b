import { all, change, type Operation } from '../metadata/operation.ts';
import { deleteRules, rulesInForce, upsertRules } from '../metadata/queries/rules-in-force.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { digestOf } from '../oci/digest.ts';
import { type Actor, startActor } from '../registry/actor.ts';
import { recordEvent } from '../registry/events.ts';

/** Rules of a configuration. */
export interface ConfiguredRules {
  /** The key under which they stand, such as `access`. */
  readonly name: string;
  /** As they stand there: lists, groups and texts; undefined or null where there are none. */
  readonly value: unknown;
  /** JSON that commands read which have the registry without its server; left out where they need not know them. */
  readonly settings?: string;
}

/** When rules are put in force. */
export interface PuttingInForce {
  /** In ms since 1970. */
  readonly now: number;
  /** Whoever has them changed; the start where it is not given. */
  readonly actor?: Actor;
  /** In words that follow what has changed. */
  readonly when?: string;
  /** What is another in the rules of a key, as far as it is known. */
  readonly changesOf?: (name: string) => string;
}

/**
 * Remembers which rules are in force from now on, and writes down where they are others than before. The first start has
 * nothing to compare them with.
 */
export async function putRulesInForce(
  metadata: MetadataStore,
  configured: readonly ConfiguredRules[],
  { now, actor = startActor, when = 'since the last start', changesOf = () => '' }: PuttingInForce,
): Promise<void> {
  const rules = configured
    .filter(({ value }) => value !== undefined && value !== null)
    .map(({ name, value, settings = null }) => ({ name, hash: hashOf(value), settings }));
  const stored = await metadata.read(() => all(rulesInForce, {}));
  const isSame =
    stored.length === rules.length &&
    rules.every(({ name, hash, settings }) =>
      stored.some((row) => row.name === name && row.hash === hash && row.settings === settings),
    );
  if (isSame) return;
  const put = function* put(): Operation<void> {
    const before = new Map((yield* all(rulesInForce, {})).map(({ name, hash }) => [name, hash]));
    for (const { name, hash, settings } of rules) {
      yield* change(upsertRules, { name, hash, settings });
      const was = before.get(name);
      if (before.size === 0 || was === hash) continue;
      yield* changed(
        name,
        was === undefined ? `set, as ${short(hash)}` : `changed from ${short(was)} to ${short(hash)}`,
      );
    }
    for (const [name, was] of before) {
      if (rules.some((rule) => rule.name === name)) continue;
      yield* change(deleteRules, { name });
      yield* changed(name, `taken away, ${short(was)} before`);
    }
  };
  await metadata.write(put, { fromReserve: true, whileReadOnly: true });

  function* changed(name: string, how: string): Operation<void> {
    const changes = changesOf(name);
    const reason = `${name}: ${how} ${when}${changes === '' ? '' : `: ${changes}`}`;
    yield* recordEvent({ at: now, kind: 'policy.changed', actor, reason });
  }
}

/** What commands are to know of rules that are in force; undefined where there is none. */
export async function settingsInForce(metadata: MetadataStore, name: string): Promise<unknown> {
  const stored = await metadata.read(() => all(rulesInForce, {}));
  const settings = stored.find((row) => row.name === name)?.settings ?? undefined;
  return settings === undefined ? undefined : JSON.parse(settings);
}

function hashOf(value: unknown): string {
  return digestOf('sha256', new TextEncoder().encode(JSON.stringify(value)));
}

function short(hash: string): string {
  return hash.slice(0, 'sha256:'.length + 12);
}
