import { z } from 'zod';
import { parseWho } from '../../access/who-text.ts';
import { endLoginsOf, type LoggedInHolder } from '../../credentials/ended-logins.ts';
import { quote } from '../../oci/quote.ts';
import { endpoint, nothing } from './endpoint.ts';

const holder = z
  .string()
  .meta({
    description: 'user:NAME or robot:NAME; a person of an issuer is user:ISSUER:NAME',
    pattern: '^(user|robot):[\\s\\S]+$',
  })
  .transform((text, context): LoggedInHolder => {
    const parsed = parseWho(text, { groups: [], claims: {} });
    const { kind = 'anonymous', name = '' } = parsed.ok ? parsed.identity : {};
    if (kind === 'user' || kind === 'robot') return { kind, name };
    const message = `${quote(text)} has no refresh tokens: it takes user:NAME, user:ISSUER:NAME or robot:NAME`;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });

export const endLogins = endpoint({
  method: 'DELETE',
  path: '/logins',
  action: 'admin',
  summary:
    'Ends all refresh tokens of a user, a person of an issuer or a robot, who then have to log in anew. Tokens that were got by them last for their few minutes.',
  query: z.strictObject({ who: holder }),
  body: nothing,
  answer: z.object({ who: z.string(), ended: z.number() }),
  async handle(call, { query: { who } }) {
    const ended = await endLoginsOf(call.registry, { holder: who, actor: call.actor() });
    return { answer: { who: `${who.kind}:${who.name}`, ended } };
  },
});
