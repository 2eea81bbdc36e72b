import type { SettingType } from '../setting-types.ts';

/** One setting: all that is known of it, in whatever source it stands. */
export interface Setting<T> {
  /** The path in the configuration file, joined by dots. */
  readonly name: string;
  readonly type: SettingType<T>;
  /** As a person would write it. */
  readonly default: string;
  /** One paragraph; its first sentence stands alone in the help text. */
  readonly description: string;
}

export const day = 86_400_000;

/** Fixes T from the type, so that each setting keeps the type of its value. */
export function setting<T>(one: Setting<T>): Setting<T> {
  return one;
}
