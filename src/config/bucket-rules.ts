import { formatDuration } from './duration.ts';
import type { Config } from './schema.ts';
import { formatStorageBound, type StorageBound } from './storage-bound.ts';

/**
 * What does not go together with blobs that lie in a bucket, a line each.
 * @param isSet whether somebody has set what is named, so that it is not its default
 */
export function problemsOfBucket(config: Config, isSet: (name: string) => boolean): readonly string[] {
  if (config.blobs.kind !== 's3') return [];
  const { storage, s3 } = config;
  const problems: string[] = [];
  if (isSet('storage.high') && storage.high?.unit === 'percent') {
    const share = formatStorageBound(storage.high);
    problems.push(
      `storage.high is ${share}, a share of the disk, while the blobs lie in a bucket: give it in bytes, or set it off`,
    );
  }
  if (isSet('storage.reserve') && storage.reserve !== undefined) {
    problems.push(
      'storage.reserve is what stays free on the disk that the blobs lie on, and they lie in a bucket: leave it out',
    );
  }
  const condemnedMs = condemnedMsOf(config, isSet);
  if (s3.isRedirecting && s3.redirectLifeMs > condemnedMs) {
    problems.push(
      `s3.redirectLife is ${formatDuration(s3.redirectLifeMs)} and windows.condemned ${formatDuration(condemnedMs)}: ` +
        'bytes must stay for as long as URLs to them hold, so make the window longer, the life shorter, or set s3.redirect off',
    );
  }
  return problems;
}

const nothing: StorageBound = { unit: 'bytes', sizeBytes: 0 };

/**
 * So much longer than URLs to them hold bytes stay, in ms: by a clock that is behind the registry's, a URL ends later, and
 * a download that begins as it ends takes its time.
 */
const afterUrlsMs = 60_000;

/** How long condemned bytes stay in a bucket where nobody says, in ms: they fill no disk of a machine, and are copied for longer. */
const usualCondemnedMs = 3_600_000;

/**
 * What holds for blobs in a bucket: a share of the disk says nothing of them, nor does what is free there; they stay for
 * longer before they go; and where pulls are sent to URLs, no bytes go before those have ended.
 * @param isSet whether somebody has set what is named, so that it is not its default
 */
export function withBucketRules(config: Config, isSet: (name: string) => boolean): Config {
  if (config.blobs.kind !== 's3') return config;
  const { s3, windows } = config;
  const { high, low } = config.storage;
  const inBytes = high?.unit === 'bytes';
  const condemnedMs = condemnedMsOf(config, isSet);
  const urlsMs = s3.isRedirecting ? s3.redirectLifeMs + afterUrlsMs : 0;
  return {
    ...config,
    windows: { ...windows, condemnedMs: Math.max(condemnedMs, urlsMs) },
    storage: { high: inBytes ? high : undefined, low: inBytes ? low : undefined, reserve: nothing },
  };
}

function condemnedMsOf({ windows }: Config, isSet: (name: string) => boolean): number {
  return isSet('windows.condemned') ? windows.condemnedMs : usualCondemnedMs;
}
