/** How long a client may build on something, and how long the registry may keep it for that. */
export interface Lease {
  promisedUntil: number;
  leasedUntil: number;
}

/** A push, or the end of another hold: a whole lease. */
export function renewLease(lease: Lease, now: number, leaseMs: number): void {
  lease.promisedUntil = Math.max(lease.promisedUntil, now + leaseMs);
  lease.leasedUntil = Math.max(lease.leasedUntil, now + leaseMs);
}

/** A HEAD that said yes: half of a lease at least, and not more than a whole one. */
export function promiseLease(lease: Lease, now: number, leaseMs: number): void {
  lease.promisedUntil = Math.max(lease.promisedUntil, now + leaseMs / 2);
  lease.leasedUntil = Math.max(lease.leasedUntil, now + leaseMs);
}
