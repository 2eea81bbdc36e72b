import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { parseByteSize } from './byte-size.ts';
import { formatDuration, parseDuration } from './duration.ts';
import { parseListenAddress } from './listen-address.ts';
import type { ListenAddress } from './listen-address.ts';
import { parseStorageBound, type StorageBound } from './storage-bound.ts';
import { problemOfNetwork } from './network.ts';

/**
 * What a setting may hold, in whatever source it stands. The schema reads what a source says (a text; in a file, a list
 * of texts too) and its messages say what is wrong with it.
 */
export interface SettingType<T> {
  /** Stands for the value in a flag's help: `--windows-lease <duration>`. */
  readonly placeholder: string;
  /** Completes "takes …". */
  readonly accepts: string;
  /** A flag that may be given several times, each time for one more element. */
  readonly isList: boolean;
  readonly schema: z.ZodType<T>;
}

const text = z.string({ error: 'this is not a single value' });

export const directory: SettingType<string> = {
  placeholder: 'directory',
  accepts: 'the path of a directory',
  isList: false,
  schema: text.min(1, { error: 'this is empty' }),
};

/** Where the metadata lies: SQLite in the data directory, or a PostgreSQL database by its URL. */
export type MetadataPlace = { readonly kind: 'sqlite' } | { readonly kind: 'postgres'; readonly url: string };

/** Parameters of an address that would take the place of what the registry sets itself, and what to do instead. */
const ownParameters: Readonly<Record<string, string>> = {
  application_name: "the processes of a registry know each other's connections by the name that they give them",
  statement_timeout: 'set postgres.statementTimeout',
  query_timeout: 'set postgres.statementTimeout',
  lock_timeout: 'set postgres.statementTimeout, which counts while a statement waits for a lock as well',
  idle_in_transaction_session_timeout: 'set postgres.statementTimeout',
};

/** Why an address is not taken, each reason with what to do. */
function problemsOfAddress({ searchParams }: URL): readonly string[] {
  return Object.entries(ownParameters).flatMap(([name, reason]) =>
    searchParams.has(name) ? [`leave ${name} out of it: ${reason}`] : [],
  );
}

export const metadataPlace: SettingType<MetadataPlace> = {
  placeholder: 'place',
  accepts: 'sqlite, or the address of a PostgreSQL database: postgres://user:password@host:5432/database',
  isList: false,
  schema: text.transform((value, context) => {
    if (value === 'sqlite') return { kind: 'sqlite' as const };
    const url = /^postgres(?:ql)?:\/\//.test(value) ? URL.parse(value) : null;
    const problems = url === null ? ['this is neither'] : problemsOfAddress(url);
    for (const message of problems) context.addIssue({ code: 'custom', message });
    return problems.length > 0 ? z.NEVER : { kind: 'postgres' as const, url: value };
  }),
};

/** What a schema takes, or `none`, which gives undefined; with the schema's own words for what is neither. */
function orNone<T>(schema: z.ZodType<T>): z.ZodType<T | undefined> {
  return text.transform((value, context) => {
    if (value === 'none') return undefined;
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    for (const { message } of parsed.error.issues) context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });
}

/** A file, or `none`, which gives undefined. */
export const fileOrNone: SettingType<string | undefined> = {
  placeholder: 'file',
  accepts: 'the path of a file, or none',
  isList: false,
  schema: text.min(1, { error: 'this is empty' }).transform((path) => (path === 'none' ? undefined : path)),
};

export const listenAddress: SettingType<ListenAddress> = {
  placeholder: 'host:port',
  accepts: 'a host and a port, such as 127.0.0.1:5000, 0.0.0.0:5000 or [::1]:5000; port 0 lets the system choose',
  isList: false,
  schema: text.transform((value, context) => {
    const parsed = parseListenAddress(value);
    if (parsed.ok) return parsed.address;
    context.addIssue({ code: 'custom', message: parsed.problem });
    return z.NEVER;
  }),
};

/** HOST:PORT, or `none`, which gives undefined. */
export const listenAddressOrNone: SettingType<ListenAddress | undefined> = {
  placeholder: listenAddress.placeholder,
  accepts: 'a host and a port, such as 127.0.0.1:5001, or none',
  isList: false,
  schema: orNone(listenAddress.schema),
};

/** Durations between two bounds in ms, and 0 where `zeroMeans` says what that does. */
export function duration(bounds: { minMs: number; maxMs: number; zeroMeans?: string }): SettingType<number> {
  const { minMs, maxMs, zeroMeans } = bounds;
  const range = `from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
  const zero = zeroMeans === undefined ? '' : `, or 0: ${zeroMeans}`;
  return {
    placeholder: 'duration',
    accepts: `a duration such as 200ms, 30s or 1h30m (units: d, h, m, s, ms), ${range}${zero}`,
    isList: false,
    schema: text.transform((value, context) => {
      const parsed = parseDuration(value);
      if (!parsed.ok) {
        context.addIssue({ code: 'custom', message: parsed.problem });
        return z.NEVER;
      }
      const isZeroAllowed = zeroMeans !== undefined && parsed.ms === 0;
      if (!isZeroAllowed && parsed.ms < minMs) context.addIssue({ code: 'custom', message: 'this is too short' });
      if (parsed.ms > maxMs) context.addIssue({ code: 'custom', message: 'this is too long' });
      return parsed.ms;
    }),
  };
}

/** Whole numbers between two bounds. */
/** How many processes: a number, or as many as there are processors. */
export const processCount: SettingType<number> = {
  ...wholeNumber({ min: 1, max: 64 }),
  accepts: 'a whole number from 1 to 64, or auto',
  schema: text.transform((value, context) => {
    if (value === 'auto') return Math.min(availableParallelism(), 64);
    const parsed = wholeNumber({ min: 1, max: 64 }).schema.safeParse(value);
    if (parsed.success) return parsed.data;
    for (const { message } of parsed.error.issues) context.addIssue({ code: 'custom', message });
    return z.NEVER;
  }),
};

export function wholeNumber(bounds: { min: number; max: number }): SettingType<number> {
  const { min, max } = bounds;
  return {
    placeholder: 'number',
    accepts: `a whole number from ${min} to ${max}`,
    isList: false,
    schema: text.transform((value, context) => {
      if (!/^\d{1,15}$/.test(value)) {
        context.addIssue({ code: 'custom', message: 'this is not a whole number' });
        return z.NEVER;
      }
      const number = Number(value);
      if (number < min) context.addIssue({ code: 'custom', message: 'this is too small' });
      if (number > max) context.addIssue({ code: 'custom', message: 'this is too large' });
      return number;
    }),
  };
}

/** Sizes in bytes between two bounds, which are given as they are shown. */
export function byteSize(bounds: { min: string; max: string }): SettingType<number> {
  const [min, max] = [parseByteSize(bounds.min), parseByteSize(bounds.max)];
  if (!min.ok || !max.ok) throw new Error(`not sizes: ${bounds.min}, ${bounds.max}`);
  return {
    placeholder: 'size',
    accepts: `a size such as 4MiB or 10MB, from ${bounds.min} to ${bounds.max}`,
    isList: false,
    schema: text.transform((value, context) => {
      const parsed = parseByteSize(value);
      if (!parsed.ok) {
        context.addIssue({ code: 'custom', message: parsed.problem });
        return z.NEVER;
      }
      if (parsed.sizeBytes < min.sizeBytes) context.addIssue({ code: 'custom', message: 'this is too small' });
      if (parsed.sizeBytes > max.sizeBytes) context.addIssue({ code: 'custom', message: 'this is too large' });
      return parsed.sizeBytes;
    }),
  };
}

/** Sizes in bytes between two bounds, or `none`, which gives undefined. */
export function byteSizeOrNone(bounds: { min: string; max: string }): SettingType<number | undefined> {
  const { placeholder, accepts, schema } = byteSize(bounds);
  return {
    placeholder,
    accepts: `${accepts}, or none`,
    isList: false,
    schema: orNone(schema),
  };
}

/** A share of the file system or a number of bytes, or a word in their place, which gives undefined. */
export function storageBound(word: string): SettingType<StorageBound | undefined> {
  return {
    placeholder: 'bound',
    accepts: `a percentage of the file system such as 90%, a size such as 50GiB, or ${word}`,
    isList: false,
    schema: text.transform((value, context) => {
      if (value === word) return undefined;
      const parsed = parseStorageBound(value);
      if (parsed.ok) return parsed.bound;
      context.addIssue({ code: 'custom', message: parsed.problem });
      return z.NEVER;
    }),
  };
}

/** One of a few words. */
export function choice<const Word extends string>(words: readonly [Word, ...Word[]]): SettingType<Word> {
  return {
    placeholder: words.join('|'),
    accepts: words.length === 2 ? words.join(' or ') : `one of ${words.join(', ')}`,
    isList: false,
    schema: z.enum(words, { error: 'this is none of these' }),
  };
}

/** The name of a service, which stands in quotes in headers. */
export const serviceName: SettingType<string> = {
  placeholder: 'name',
  accepts: 'a name of letters, digits and . _ : / -, such as registry.example.com',
  isList: false,
  schema: text.regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}$/, { error: 'this is not such a name' }),
};

/** A URL of HTTP, or a word in its place, which gives undefined. */
export function httpUrl(word: string): SettingType<string | undefined> {
  return {
    placeholder: 'url',
    accepts: `a URL of HTTP such as https://host.example:8443/path, or ${word}`,
    isList: false,
    schema: text.transform((value, context) => {
      if (value === word) return undefined;
      const url = URL.parse(value);
      if (url !== null && /^https?:$/.test(url.protocol) && url.hash === '' && url.username === '') return url.href;
      context.addIssue({ code: 'custom', message: 'this is not a URL of HTTP' });
      return z.NEVER;
    }),
  };
}

const texts = z.union([text, z.array(text)], { error: 'this is neither a text nor a list of texts' });

function elementsOf(value: string | readonly string[]): readonly string[] {
  return typeof value === 'string' ? value.split(',').map((element) => element.trim()) : value;
}

/** Addresses and networks: `none`, one text with commas, or in a file a list. */
export const networks: SettingType<readonly string[]> = {
  placeholder: 'networks',
  accepts: 'IP addresses and networks such as 10.0.0.0/8, separated by commas (a list in the file), or none',
  isList: true,
  schema: texts.transform((value, context) => (value === 'none' ? [] : networksIn(value, context))),
};

/** The same, or `any` in place of `none`, which gives undefined. */
export const networksOrAny: SettingType<readonly string[] | undefined> = {
  placeholder: networks.placeholder,
  accepts: 'IP addresses and networks such as 10.0.0.0/8, separated by commas (a list in the file), or any',
  isList: true,
  schema: texts.transform((value, context) => (value === 'any' ? undefined : networksIn(value, context))),
};

function networksIn(value: string | string[], context: z.RefinementCtx): readonly string[] {
  const elements = elementsOf(value);
  for (const element of elements) {
    const problem = problemOfNetwork(element);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
  }
  return elements;
}

/** Globs of repositories: `all`, one text with commas, or in a file a list. */
export const repositoryGlobs: SettingType<readonly string[]> = {
  placeholder: 'globs',
  accepts: 'globs of repositories such as public/**, separated by commas (a list in the file), or all',
  isList: true,
  schema: texts.transform((value, context) => {
    if (value === 'all') return ['**'];
    const elements = elementsOf(value);
    for (const element of elements) {
      if (/^[a-z0-9._/*-]{1,512}$/.test(element)) continue;
      context.addIssue({ code: 'custom', message: `${JSON.stringify(element)} matches no name of a repository` });
    }
    return elements;
  }),
};

/** Names of hosts, without ports: `none`, `any`, one text with commas, or in a file a list. */
export const hostNames: SettingType<readonly string[] | 'any'> = {
  placeholder: 'names',
  accepts: 'names of hosts such as registry.example.com, separated by commas (a list in the file), none, or any',
  isList: true,
  schema: texts.transform((value, context) => {
    if (value === 'none') return [];
    if (value === 'any') return 'any';
    const elements = elementsOf(value);
    for (const element of elements) {
      if (/^[A-Za-z0-9_]([A-Za-z0-9._-]{0,252})$/.test(element)) continue;
      context.addIssue({ code: 'custom', message: `${JSON.stringify(element)} is not the name of a host` });
    }
    return elements;
  }),
};
