import { convertArtifactRegistry } from './artifact-registry.ts';
import type { ConversionOptions, ConversionResult, ForeignKind } from './conversion.ts';
import { convertEcr } from './ecr.ts';
import { convertHarbor } from './harbor.ts';
import { convertZot } from './zot.ts';

/** Translates another registry's retention policies into ours, and says where the effect differs. */
export function convertPolicies(kind: ForeignKind, given: unknown, options: ConversionOptions = {}): ConversionResult {
  switch (kind) {
    case 'zot':
      return convertZot(given);
    case 'harbor':
      return convertHarbor(given, options);
    case 'ecr':
      return convertEcr(given, options);
    case 'artifact-registry':
      return convertArtifactRegistry(given, options);
  }
}

/** Whose policies these are, by the names that only they have; undefined where that cannot be told. */
export function detectKind(given: unknown): ForeignKind | undefined {
  if (Array.isArray(given)) return given.some((one) => has(one, 'action')) ? 'artifact-registry' : undefined;
  if (has(given, 'lifecyclePolicyText')) return 'ecr';
  if (has(given, 'storage') || has(given, 'retention') || has(given, 'policies')) return 'zot';
  if (has(given, 'rules') && Array.isArray(given.rules)) {
    const rules: readonly unknown[] = given.rules;
    if (rules.some((rule) => has(rule, 'rulePriority'))) return 'ecr';
    return rules.some((rule) => has(rule, 'template')) ? 'harbor' : undefined;
  }
  if (has(given, 'cleanupPolicies')) return 'artifact-registry';
  const values: readonly unknown[] = given instanceof Object ? Object.values(given) : [];
  return values.length > 0 && values.every((one) => has(one, 'action')) ? 'artifact-registry' : undefined;
}

function has<Key extends string>(given: unknown, key: Key): given is Record<Key, unknown> {
  return given instanceof Object && key in given;
}
