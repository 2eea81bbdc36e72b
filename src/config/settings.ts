import type { SettingType } from './setting-types.ts';
import { placesSettings } from './settings/places.ts';
import { postgresSettings } from './settings/postgres.ts';
import { s3Settings } from './settings/s3.ts';
import { authSettings } from './settings/auth.ts';
import { tlsSettings } from './settings/tls.ts';
import { windowsSettings } from './settings/windows.ts';
import { manifestsSettings, permission } from './settings/manifests.ts';
import { httpSettings } from './settings/http.ts';
import { limitsSettings } from './settings/limits.ts';
import { pullsSettings } from './settings/pulls.ts';
import { collectorSettings } from './settings/collector.ts';
import { retentionSettings } from './settings/retention.ts';
import { storageSettings } from './settings/storage.ts';
import { eventsSettings } from './settings/events.ts';
import { auditSettings } from './settings/audit.ts';
import { logSettings } from './settings/log.ts';
import type { Setting } from './settings/setting.ts';

export type { Setting } from './settings/setting.ts';

/** One value for several settings at once. Within one source, the settings that it stands for go before it. */
export interface Shorthand {
  readonly name: string;
  readonly type: SettingType<unknown>;
  readonly description: string;
  readonly standsFor: readonly string[];
}

/** A group of settings whose names begin alike, in the order of the reference page. */
export interface Section {
  /** What the names begin with; empty for those that stand alone. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
}

/**
 * The one table of settings, a file a section. The environment's names, the flags, the help text and
 * docs/configuration.md are made from it; schema.ts says where each value stands in `Config`.
 */
export const settings = {
  ...placesSettings,
  ...postgresSettings,
  ...s3Settings,
  ...authSettings,
  ...tlsSettings,
  ...windowsSettings,
  ...manifestsSettings,
  ...httpSettings,
  ...limitsSettings,
  ...pullsSettings,
  ...collectorSettings,
  ...retentionSettings,
  ...storageSettings,
  ...eventsSettings,
  ...auditSettings,
  ...logSettings,
};

export const shorthands: readonly Shorthand[] = [
  {
    name: 'manifests.sparse',
    type: permission,
    description: 'Sets manifests.sparse.images and manifests.sparse.indexes at once.',
    standsFor: ['manifests.sparse.images', 'manifests.sparse.indexes'],
  },
];

/** Flags without a value, for what is often wanted: `--anonymous` is `--auth-anonymous all`. */
export const bareFlags: readonly { readonly flag: string; readonly setting: string; readonly value: string }[] = [
  { flag: '--anonymous', setting: 'auth.anonymous', value: 'all' },
];

export const sections: readonly Section[] = [
  { name: '', title: 'Where', description: 'Where the registry keeps its data, and where it answers.' },
  {
    name: 'postgres',
    title: 'PostgreSQL',
    description:
      'How the database is used, where the metadata lies in PostgreSQL; [postgresql.md](postgresql.md) says more.',
  },
  {
    name: 's3',
    title: 'Buckets',
    description: 'How blobs are kept in an S3 bucket; [s3.md](s3.md) says more.',
  },
  {
    name: 'auth',
    title: 'Access',
    description: 'Who may log in, and what is open to everybody. [access.md](access.md) has the rest: who may do what.',
  },
  {
    name: 'tls',
    title: 'TLS',
    description: 'Certificates of the server and of clients; [tls.md](tls.md) says more.',
  },
  {
    name: 'windows',
    title: 'Windows',
    description: 'How long things stay that are unfinished, unused or deleted.',
  },
  { name: 'manifests', title: 'Manifests', description: 'Which manifests are accepted.' },
  { name: 'http', title: 'HTTP', description: 'How requests are answered.' },
  { name: 'limits', title: 'Limits', description: 'What one client, and all together, may take.' },
  { name: 'pulls', title: 'Pulls', description: 'What is remembered about pulls.' },
  { name: 'collector', title: 'Collector', description: 'How fast the space of what nothing holds is given back.' },
  {
    name: 'retention',
    title: 'Retention',
    description: 'When policies are looked at. retention.md says what they are.',
  },
  {
    name: 'storage',
    title: 'Storage',
    description: 'How much may be stored, and what happens where that is passed; [disk.md](disk.md) says more.',
  },
  { name: 'events', title: 'Events', description: 'What is remembered about what happened.' },
  { name: 'audit', title: 'Audit', description: 'Where else it is written what happened.' },
  { name: 'log', title: 'Log', description: 'What is logged, and how.' },
];

export const allSettings: readonly Setting<unknown>[] = Object.values(settings);

/** Everything that a source can set, in the order of the reference page: a shorthand stands before what it sets. */
export const settable: readonly (Setting<unknown> | Shorthand)[] = allSettings.flatMap((one) =>
  [shorthands.filter(({ standsFor }) => standsFor[0] === one.name), one].flat(),
);

/** The settings and shorthands of one section. */
export function settableIn(section: Section): readonly (Setting<unknown> | Shorthand)[] {
  return settable.filter(({ name }) => sectionNameOf(name) === section.name);
}

/** The names of the settings that a name sets: its own, or those that it is the shorthand of. */
export function namesSetBy(name: string): readonly string[] {
  return shorthands.find((shorthand) => shorthand.name === name)?.standsFor ?? [name];
}

function sectionNameOf(name: string): string {
  return name.includes('.') ? (name.split('.')[0] ?? '') : '';
}
