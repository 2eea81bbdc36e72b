import type { Identity } from '../../access/identity.ts';
import { clientNetworkOf } from './client-address.ts';

/**
 * Under what a client is counted: who it is, where that is proven, so that one does not have to pay for others behind the
 * same address; else its address. Undefined where neither is known.
 */
export function clientKeyOf(identity: Identity, address: string | undefined): string | undefined {
  if (identity.kind !== 'anonymous') return `${identity.kind} ${identity.name}`;
  return address === undefined ? undefined : clientNetworkOf(address);
}
