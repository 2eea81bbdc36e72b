import { z } from 'zod';
import { choice } from '../config/setting-types.ts';
import { quote } from '../oci/quote.ts';
import { group, name, oneOrMore, parsed, repositoryGlob, value } from '../retention/document-schema.ts';
import { Glob } from '../retention/glob.ts';
import { type Action, actions } from './action.ts';
import { certificateClaims } from './certificate-identity.ts';
import type { Member, Who } from './rule.ts';

/** More than these are a mistake; the bounds keep small what a request costs. */
const mostRules = 1000;
const mostGroups = 1000;
const mostMembers = 10_000;

/** A glob for names of whoever asks, or for what an issuer says of them. */
const nameGlob = parsed('names, which may have * and ** in them', (text) => {
  const outcome = Glob.parse(text);
  return outcome.ok ? { ok: true, result: outcome.glob } : outcome;
});

/** What may stand in the place of a name, and is meant otherwise. */
const kinds = new Map([
  ['users', 'user:'],
  ['robots', 'robot:'],
]);

/** Names of a kind are written without it: `robots: ci`, not `robots: robot:ci`. */
function namesOf(key: string): z.ZodType<readonly Glob[]> {
  const prefix = kinds.get(key);
  const one = nameGlob.transform((glob, context) => {
    if (prefix !== undefined && glob.source.startsWith(prefix)) {
      const message = `cannot be ${quote(glob.source)}: write ${quote(glob.source.slice(prefix.length))}, as it stands under ${key}`;
      context.addIssue({ code: 'custom', message });
    }
    return glob;
  });
  return oneOrMore(one);
}

const ofCertificates: readonly string[] = certificateClaims;

/** With `iss` they are an issuer's; without, a certificate's: what one says of somebody is nothing that another one says. */
const claims = z
  .record(z.string().min(1).max(200), oneOrMore(nameGlob), { error: 'is a group: the name of each claim, and globs' })
  .transform((given, context) => {
    const names = Object.keys(given);
    if (names.length > 0 && !names.includes('iss') && !names.every((claim) => ofCertificates.includes(claim))) {
      context.addIssue({
        code: 'custom',
        message: `does not say whose claims these are: add iss, what the issuer stands under in "issuer" (without it, only ${ofCertificates.join(', ')} of client certificates are possible)`,
      });
    }
    return new Map(Object.entries(given));
  });

const whoShape = {
  users: namesOf('users').optional(),
  groups: namesOf('groups').optional(),
  robots: namesOf('robots').optional(),
  certificates: namesOf('certificates').optional(),
  claims: claims.optional(),
};

const kindsOfWho = Object.keys(whoShape).join(', ');

const nobody: Who = {
  everybody: undefined,
  users: [],
  groups: [],
  robots: [],
  certificates: [],
  claims: new Map(),
};

const whoGroup = group(whoShape).transform((given, context): Who => {
  const { users = [], groups = [], robots = [], certificates = [], claims: claimed = new Map() } = given;
  if (users.length + groups.length + robots.length + certificates.length + claimed.size === 0) {
    context.addIssue({ code: 'custom', message: `is nobody: give ${kindsOfWho}` });
  }
  return { everybody: undefined, users, groups, robots, certificates, claims: claimed };
});

const everybody = choice(['anonymous', 'authenticated']);

/** A word, or a group. */
const who: z.ZodType<Who> = z.unknown().transform((given, context): Who => {
  if (typeof given === 'string') {
    const word = everybody.schema.safeParse(given);
    if (word.success) return { ...nobody, everybody: word.data };
    const advice = kindsOf(given);
    context.addIssue({
      code: 'custom',
      message: `cannot be ${quote(given)}. It takes anonymous (everybody), authenticated (everybody who has logged in), or a group such as ${advice}.`,
    });
    return z.NEVER;
  }
  if (given === undefined) {
    context.addIssue({
      code: 'custom',
      message: `is missing. It takes anonymous, authenticated, or a group of ${kindsOfWho}.`,
    });
    return z.NEVER;
  }
  const outcome = whoGroup.safeParse(given);
  if (outcome.success) return outcome.data;
  for (const issue of outcome.error.issues) {
    if (issue.code === 'unrecognized_keys') {
      context.addIssue({ code: 'unrecognized_keys', keys: issue.keys, path: issue.path });
    } else context.addIssue({ code: 'custom', message: issue.message, path: issue.path });
  }
  return z.NEVER;
});

/** How whoever is meant by a word would be written. */
function kindsOf(text: string): string {
  const [, kind, one] = /^(user|group|robot|certificate):(.+)$/.exec(text) ?? [];
  if (kind === undefined || one === undefined) return `{ users: [${/^[\w.@-]+$/.test(text) ? text : 'alice'}] }`;
  return `{ ${kind}s: [${one}] }`;
}

const action = value(choice([...actions]));

/** `all`, or some of them. */
const someActions: z.ZodType<ReadonlySet<Action>> = z.unknown().transform((given, context): ReadonlySet<Action> => {
  if (given === 'all') return new Set(actions);
  const outcome = oneOrMore(action).safeParse(given);
  if (outcome.success) return new Set(outcome.data);
  const list = actions.join(', ');
  for (const { path, message } of outcome.error.issues) {
    const more = Array.isArray(given) && given.includes('all') ? ' (all stands alone, not in a list)' : '';
    context.addIssue({ code: 'custom', path, message: message.includes(list) ? `${message}${more}` : message });
  }
  return z.NEVER;
});

const ruleShape = {
  name: name.optional(),
  who,
  repositories: oneOrMore(repositoryGlob),
  actions: someActions,
};

const openToAll: readonly Action[] = ['pull', 'push', 'tag-overwrite', 'delete'];

/** What the key `access` holds. */
export const accessSchema = z
  .array(
    group(ruleShape).transform((rule, context) => {
      const tooMuch = [...rule.actions].filter((one) => !openToAll.includes(one));
      if (rule.who.everybody === 'anonymous' && tooMuch.length > 0) {
        context.addIssue({
          code: 'custom',
          path: ['actions'],
          message: `would let everybody ${tooMuch.join(', ')} without logging in: anonymous may have ${openToAll.join(', ')} only`,
        });
      }
      return rule;
    }),
    { error: 'is a list of rules' },
  )
  .max(mostRules, { error: `has more than ${mostRules} rules` });

/** `alice`, `user:alice` or `robot:ci`. */
const member = parsed('names of users, and robots such as robot:ci', (text) => {
  const [, kind = 'user', one = ''] = /^(?:(user|robot):)?(.*)$/s.exec(text) ?? [];
  if (one === '') return { ok: false, problem: 'this is empty' };
  return { ok: true, result: { kind: kind === 'robot' ? 'robot' : 'user', name: one } satisfies Member };
});

/** What the key `groups` holds: the name of each group, and who is in it. */
export const groupsSchema: z.ZodType<ReadonlyMap<string, readonly Member[]>> = z
  .record(z.string().min(1).max(200), oneOrMore<Member>(member), {
    error: 'is a group: the name of each group, and a list of its members',
  })
  .transform((given, context) => {
    const names = Object.keys(given);
    if (names.length > mostGroups) {
      context.addIssue({ code: 'custom', message: `has more than ${mostGroups} groups` });
    }
    for (const one of names) {
      if (one.includes(':')) {
        const message = 'has a colon in its name: such groups are what issuers and certificates say of somebody';
        context.addIssue({ code: 'custom', path: [one], message });
      }
      if ((given[one]?.length ?? 0) > mostMembers) {
        context.addIssue({ code: 'custom', path: [one], message: `has more than ${mostMembers} members` });
      }
    }
    return new Map(Object.entries(given));
  });

/** The names that may stand where a problem's path leads, for the nearest spelling. */
export function namesIn(path: readonly PropertyKey[]): readonly string[] {
  return Object.keys(path.includes('who') ? whoShape : ruleShape);
}
