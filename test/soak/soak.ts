import type { Checks } from './checks.ts';
import type { SoakDisk } from './soak-disk.ts';

/** What a variant of the soak is given. */
export interface Soak {
  readonly executable: string;
  readonly disk: SoakDisk;
  /** The size of the disk. */
  readonly mebibytes: number;
  readonly logs: string;
  readonly checks: Checks;
}

export const mebibyte = 1024 * 1024;

/** Windows so short that what they are for does not take the soak's time; but for the trash, which only the bounds end early. */
export const soakWindows = {
  'windows-lease': '5s',
  'windows-trash': '72h',
  'windows-condemned': '100ms',
  'windows-upload': '10s',
  'log-requests': 'errors',
};

/** Waits until something is so. @returns how long that took, in ms; undefined where it did not come to it in time */
export async function within(ms: number, condition: () => boolean | Promise<boolean>): Promise<number | undefined> {
  const begun = performance.now();
  while (performance.now() - begun < ms) {
    if (await condition()) return Math.round(performance.now() - begun);
    await Bun.sleep(50);
  }
  return undefined;
}

/** Of a layer, so that a disk of any size holds some hundred of them. */
export function layerMibOf(mebibytes: number): number {
  return Math.max(1, Math.floor(mebibytes / 100));
}
