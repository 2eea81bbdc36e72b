import { expect, test } from 'bun:test';
import { QuotaSet } from '../../src/quotas/quota-set.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { GuardedRegistry, type Sender } from './guarded-registry.ts';

const access = [
  { who: { users: ['owner'] }, repositories: '**', actions: 'all' },
  { who: { users: ['tenant'] }, repositories: 'team/**', actions: 'all' },
];

/** One quota for the repositories of several, which is all but used up by a blob of others. */
async function start(hard = '150B', soft = '140B') {
  const guarded = await GuardedRegistry.start(['owner', 'tenant'], { access });
  const { registry } = guarded;
  const parsed = QuotaSet.parse([{ name: 'all', repositories: '**', bytes: { hard, soft } }]);
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  await registry.stop();
  registry.quotas = parsed.set;
  await registry.resume({ 'auth.htpasswd': guarded.passwordFile });
  await registry.counted();
  const secret = freshBytes(100);
  await guarded.pusher('owner').pushBlob('secret/app', secret);
  return { guarded, secret };
}

async function answers(guarded: GuardedRegistry, sender: Sender, bytes: Uint8Array<ArrayBuffer>) {
  const digest = digestOf(bytes);
  const shown: string[] = [];
  const path = `/v2/team/app/blobs/uploads/`;
  const whole = await guarded.send(sender, `${path}?digest=${digest}`, { method: 'POST', body: bytes });
  shown.push(`${whole.status} ${await whole.text()}`);
  const opened = await guarded.send(sender, path, { method: 'POST' });
  const closing = `${opened.headers.get('location')}?digest=${digest}`;
  const closed = await guarded.send(sender, closing, { method: 'PUT', body: bytes });
  shown.push(`${closed.status} ${await closed.text()}`);
  return shown;
}

test('a quota that has no room refuses what others have of it as it does what nobody has', async () => {
  const { guarded, secret } = await start();
  await using _ = guarded;
  const ofSecret = await answers(guarded, 'tenant', secret);
  expect(ofSecret).toEqual(await answers(guarded, 'tenant', freshBytes(100)));
  for (const answer of ofSecret) {
    expect(answer).toStartWith('403 ');
    // Nor does it say how much the others have.
    expect(answer).not.toMatch(/\b(100|150) ?B?\b.*bytes|"used"/);
  }
});

test('who may see all of the quota pushes again what it has, and is told the figures', async () => {
  const { guarded, secret } = await start();
  await using _ = guarded;
  const [refused] = await answers(guarded, 'owner', freshBytes(100));
  expect(refused).toContain('"used":100');
  for (const answer of await answers(guarded, 'owner', secret)) expect(answer).toStartWith('201 ');
});

test('a quota that is used up lets nobody begin what others have of it', async () => {
  const { guarded, secret } = await start('100B', '90B');
  await using _ = guarded;
  const begun = async (sender: Sender, bytes: Uint8Array): Promise<string> => {
    const path = `/v2/team/app/blobs/uploads/?digest=${digestOf(bytes)}`;
    const answer = await guarded.send(sender, path, { method: 'POST' });
    return `${answer.status} ${await answer.text()}`;
  };
  expect(await begun('tenant', secret)).toStartWith('403 ');
  expect(await begun('tenant', secret)).toBe(await begun('tenant', freshBytes(100)));
  expect(await begun('owner', secret)).toStartWith('202 ');
});

test('a soft limit warns whoever pushes there, with figures only for whoever may see all of the quota', async () => {
  const { guarded } = await start('1MB', '1B');
  await using _ = guarded;
  const { registry } = guarded;
  const warningTo = async (sender: Sender): Promise<string> => {
    const bytes = freshBytes(100);
    const path = `/v2/team/app/blobs/uploads/?digest=${digestOf(bytes)}`;
    const answer = await guarded.send(sender, path, { method: 'POST', body: bytes });
    expect(answer.status).toBe(201);
    return answer.headers.get('warning') ?? '';
  };
  expect(await warningTo('owner')).toBe(
    '299 - "the quota all has more than 1B of blobs, and pushes are refused beyond 1MB of blobs: delete what is not needed"',
  );
  expect(await warningTo('tenant')).toBe(
    '299 - "the quota all has few bytes left, with what other repositories have: delete what is not needed"',
  );
  expect(registry.rows("select 1 from event where kind = 'quota.soft'")).toHaveLength(1);
});
