import { AccessControl } from './access-control.ts';
import { FailedLogins } from './failed-logins.ts';
import { noRules } from './parse.ts';
import { AccessPolicy } from './policy.ts';

/** Where nobody has said who may do what: everybody may all but administer, which takes the token. */
export function openAccess(operatorToken: string): AccessControl {
  return new AccessControl({
    policy: new AccessPolicy(noRules),
    isOpen: true,
    authenticators: [],
    failedLogins: new FailedLogins(() => performance.now()),
    onRefused: () => undefined,
    operatorToken,
  });
}
